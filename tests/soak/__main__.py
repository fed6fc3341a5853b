"""Run the acceptance tests of one issue at full size and write docs/soak/<issue>.md: `./just soak 1`.

Resumable: what passed at this commit is remembered in var/soak/ and not run again.
"""

import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
# Issue → test files that are its acceptance list, in its order.
ACCEPTANCE: Final = {
    "1": [
        "tests/processes/up",
        "tests/e2e/test_three_agencies.py",
        "tests/e2e/test_real_mail.py",
        "tests/e2e/test_kills.py",
        "tests/e2e/test_lost_acks.py",
        "tests/e2e/test_full_disk.py",
        "tests/e2e/test_rebuild.py",
        "tests/e2e/test_damage.py",
        "tests/e2e/test_secrets.py",
        "tests/e2e/test_memory.py",
        "tests/adapters/jetstream",
        "tests/contracts",
        "tests/architecture",
    ]
}


def main(issue: str) -> int:
    """0 when all of them passed at this commit."""
    commit = _git("rev-parse", "--short", "HEAD")
    if _git("status", "--porcelain"):
        print("there are uncommitted changes: a soak says something about a commit", file=sys.stderr)
        return 2
    kept = ROOT / "var" / "soak" / f"{issue}-{commit}.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    done: dict[str, dict[str, object]] = json.loads(kept.read_text()) if kept.exists() else {}
    for path in ACCEPTANCE[issue]:
        if done.get(path, {}).get("passed") is not True:
            done[path] = _run(path)
            kept.write_text(json.dumps(done, indent=1))
    report = ROOT / "docs" / "soak" / f"{issue}.md"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(_report(issue, commit, done))
    print(f"wrote {report.relative_to(ROOT)}")
    return 0 if all(each["passed"] for each in done.values()) else 1


def _run(path: str) -> dict[str, object]:
    """One pytest run at full size; its closing line is the finding."""
    began = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "timeout=0", path]
    ran = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "SARABAN_TEST_SIZE": "full"}, capture_output=True, text=True
    )
    print(ran.stdout)
    closing = ran.stdout.strip().splitlines()[-1:] or ["no output"]
    return {"passed": ran.returncode == 0, "said": closing[0], "seconds": round(time.monotonic() - began)}


def _report(issue: str, commit: str, done: dict[str, dict[str, object]]) -> str:
    rows = [
        f"| `{path}` | {'passed' if found['passed'] else 'FAILED'} | {found['said']} | {found['seconds']} s |"
        for path, found in done.items()
    ]
    system = f"{platform.system()} {platform.release()}"
    machine = f"{system}, {os.cpu_count()} cores, Python {platform.python_version()}"
    at = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    return "\n".join(
        [
            f"# Soak of issue {issue}/9",
            "",
            f"Commit {commit}, {at}, {machine}. Command: `./just soak {issue}`.",
            "",
            "| acceptance | verdict | pytest said | took |",
            "|---|---|---|---|",
            *rows,
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
