"""Run the acceptance tests of one issue at full size and write docs/soak/<issue>.md: `./just soak 1`.

Resumable: what passed at this commit is remembered in var/soak/ and not run again. The report has each
verdict and the figures that the tests print.
"""

import json
import os
import platform
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
# Issue → what its acceptance list is held to, with the items' numbers. What is not here is tried by hand.
ACCEPTANCE: Final = {
    "1": {
        "tests/processes/up": "1, 6: start, stop, resume; what a 250 rests on",
        "tests/e2e/test_three_agencies.py": "2: one mail to three agencies",
        "tests/e2e/test_real_mail.py": "3: real mail, octet for octet",
        "tests/e2e/test_kills.py": "4: whatever is killed or stopped",
        "tests/e2e/test_lost_acks.py": "4: lost acks",
        "tests/e2e/test_full_disk.py": "4: a full disk",
        "tests/e2e/test_rebuild.py": "5: rows rebuilt",
        "tests/e2e/test_damage.py": "6: damaged stores",
        "tests/e2e/test_secrets.py": "7: nothing in the clear",
        "tests/e2e/test_memory.py": "8: memory of large mails",
        "tests/adapters": "4, 6, 8: log and content on real servers",
        "tests/projections": "5: folds and numbering",
        "tests/architecture": "10: the house",
    }
}
# What a role says while a test runs it in the foreground, pytest's dots and bars.
NOT_FIGURES: Final = re.compile(r'\s*$|\{"|[.sxF]+(\s+\[ *\d+%\])?$|[=_]{5,}|\d+ passed')


def main(issue: str) -> int:
    """0 when all of them passed at this commit."""
    commit = _git("rev-parse", "--short", "HEAD")
    if _git("status", "--porcelain"):
        print("there are uncommitted changes: a soak says something about a commit", file=sys.stderr)
        return 2
    kept = ROOT / "var" / "soak" / f"{issue}-{commit}.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    done: dict[str, dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else {}
    for path, what in ACCEPTANCE[issue].items():
        print(f"{what}: {path} ...", flush=True)
        if done.get(path, {}).get("passed") is not True:
            done[path] = _run(path)
            kept.write_text(json.dumps(done, indent=1))
    report = ROOT / "docs" / "soak" / f"{issue}.md"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(_report(issue, commit, done))
    print(f"wrote {report.relative_to(ROOT)}")
    return 0 if all(each["passed"] for each in done.values()) else 1


def _run(path: str) -> dict[str, Any]:
    """One pytest run at full size: its closing line, and what the tests printed."""
    began = time.monotonic()
    options = [
        "-q",
        "-s",
        "-p",
        "no:cacheprovider",
        "-o",
        "timeout=0",
        "-o",
        "addopts=--import-mode=importlib",
    ]
    command = [sys.executable, "-m", "pytest", *options, path]
    ran = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "SARABAN_TEST_SIZE": "full"}, capture_output=True, text=True
    )
    lines = ran.stdout.strip().splitlines() or ["no output"]
    is_passed = ran.returncode == 0
    print(lines[-1] if is_passed else ran.stdout, flush=True)
    # A dot of pytest's stands before what a later test printed.
    figures = [line.lstrip(".") for line in lines[:-1] if not NOT_FIGURES.match(line)] if is_passed else []
    took_s = round(time.monotonic() - began)
    return {"passed": is_passed, "said": lines[-1], "seconds": took_s, "figures": figures}


def _report(issue: str, commit: str, done: dict[str, dict[str, Any]]) -> str:
    rows, printed = list[str](), list[str]()
    for path, found in done.items():
        verdict = "passed" if found["passed"] else "FAILED"
        rows.append(
            f"| {ACCEPTANCE[issue][path]} | `{path}` | {verdict} | {found['said']} | {found['seconds']} s |"
        )
        if found["figures"]:
            printed += ["", f"`{path}` printed:", "", "```", *found["figures"], "```"]
    system = f"{platform.system()} {platform.release()}"
    machine = f"{system}, {os.cpu_count()} cores, Python {platform.python_version()}"
    at = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    return "\n".join(
        [
            f"# Soak of issue {issue}/9",
            "",
            f"Commit {commit}, {at}, {machine}. Command: `./just soak {issue}`.",
            "",
            "| acceptance | tests | verdict | pytest said | took |",
            "|---|---|---|---|---|",
            *rows,
            *printed,
            "",
        ]
    )


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in ACCEPTANCE:
        sys.exit(f"usage: python -m tests.soak ISSUE, one of {', '.join(ACCEPTANCE)}")
    sys.exit(main(sys.argv[1]))
