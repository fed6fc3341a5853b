"""Run the acceptance tests of one issue at full size and write docs/soak/<issue>.md: `./just soak 1`.

Resumable: what passed at this commit is remembered in var/soak/ and not run again. Each test says when it is
done; the report has each file's verdict and the figures that its tests print. Nothing may be skipped here.
"""

import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

ROOT: Final = Path(__file__).resolve().parents[2]
# pytest's own headings, and the log of a role that a test ran: lines of JSON, or for people, with tracebacks
NO_FIGURE: Final = re.compile(r'---|\{"|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[|[╭│╰┌└]|\w+(Error|Exception)\b')
BENCH: Final = "tests/bench/bench.py"
# Issue → what its acceptance list is held to: the items' numbers and their subject, and a test file, a folder
# of them, or the bench and what it measures. Items are also tried by hand.
ACCEPTANCE: Final = {
    "1": (
        ("1, 6: start, stop, resume; what a 250 rests on", "tests/processes/up"),
        ("1: the command line", "tests/cli"),
        ("2: one mail to three agencies", "tests/e2e/test_three_agencies.py"),
        ("3: real mail, octet for octet", "tests/e2e/test_real_mail.py"),
        ("4: whatever is killed or stopped", "tests/e2e/test_kills.py"),
        ("4: a packer killed again and again", "tests/processes/packer/test_killed.py"),
        ("4: lost acks", "tests/e2e/test_lost_acks.py"),
        ("4: a full disk", "tests/e2e/test_full_disk.py"),
        ("5: rows rebuilt", "tests/e2e/test_rebuild.py"),
        ("5: folds and numbering", "tests/projections"),
        ("6: damaged stores", "tests/e2e/test_damage.py"),
        ("4, 6, 8: log and content on real servers", "tests/adapters"),
        ("7: nothing in the clear", "tests/e2e/test_secrets.py"),
        ("8: memory of large mails", "tests/e2e/test_memory.py"),
        ("9: mail in, beside the pair where installed", f"{BENCH} inbound"),
        ("9: mail on to the next host, beside Postfix", f"{BENCH} relay"),
        ("10, 11: the house and its documents", "tests/architecture"),
    ),
    "2": (
        ("1: an agency's administrator, over the API", "tests/e2e/test_administration.py"),
        ("1: who may do what, each refusal with a real token", "tests/processes/web"),
        ("1: what administrators decide", "tests/processes/registry"),
        ("1: the command line, through the API too", "tests/cli"),
        ("1: addresses and accounts, seen by who sends mail", "tests/e2e/test_people.py"),
        ("1: conflicts, in one sentence each", "tests/e2e/test_refusals.py"),
        ("1: limits people meet, and the traffic log", "tests/e2e/test_limits.py"),
        ("1: lists", "tests/e2e/test_lists.py"),
        ("1: forwarding", "tests/e2e/test_forwarding.py"),
        ("1: lists and forwarding, decided", "tests/processes/router"),
        ("1: the queue", "tests/e2e/test_queue.py"),
        ("1: what ends by time", "tests/processes/steward"),
        ("1: search over 350,000 accounts", f"{BENCH} admin"),
        ("2: people's programs sign in and send", "tests/e2e/test_signing_in.py"),
        ("2: a password that was set", "tests/e2e/test_passwords.py"),
        ("2: tokens of a real OpenID provider", "tests/e2e/test_tokens.py"),
        ("2: tokens of a real OpenID provider", "tests/adapters/test_openid.py"),
        ("2: passwords, app passwords, guessing", "tests/processes/signin"),
        ("2: the account page", "tests/e2e/test_account_page.py"),
        ("2: bans", "tests/e2e/test_bans.py"),
        ("2, 3, 4: the edge: submission, TLS, limits, RRVS", "tests/processes/edge"),
        ("3: dialogs of every extension, and smuggling", "tests/dialogs"),
        ("3: SMTP, by itself and against others", "tests/protocols"),
        ("3: ten minutes of fuzzing", "tests/fuzz/test_runs.py"),
        ("3: what senders are told (DSN)", "tests/e2e/test_told.py"),
        ("3, 4: what senders demand, RRVS and its trace", "tests/e2e/test_demands.py"),
        ("5: an import killed midway", "tests/e2e/test_import.py"),
        ("6: idle and busy connections on one edge", "tests/e2e/test_connections.py"),
        ("7: the guides, English and Thai", "tests/architecture/test_documents.py"),
    ),
    "3": (
        ("1: seven next hops that misbehave, and a good one", "tests/e2e/test_misbehaving.py"),
        ("1, 4: one relay at hosts of every kind, and their TLS", "tests/processes/relay"),
        ("1: what an attempt means, and when the next one is", "tests/domain/test_delivery.py"),
        ("2: next hops that fail at random, and kills", "tests/e2e/test_storm.py"),
        ("2: relays and everything else killed", "tests/e2e/test_kills.py"),
        ("2: three relays, five connections, none more", "tests/e2e/test_throttles.py"),
        ("2: the invariant, and each violation of it", "tests/domain/test_books.py"),
        ("3: 2,000 to 200,000 deferred recipients", f"{BENCH} queue"),
        ("3: the rows of the queue, kept and built anew", "tests/projections/test_models.py"),
        ("1: a backup has the mail of a server that is away", "tests/e2e/test_routes.py"),
        ("4: MX and MTA-STS through a whole gateway", "tests/e2e/test_mx.py"),
        ("5: Postfix, Exim and OpenSMTPD, both ways", "tests/e2e/test_interop.py"),
        ("6: mail on to the next host, beside Postfix", f"{BENCH} relay"),
        ("7: a postmaster sees and steers the queue", "tests/e2e/test_queue.py"),
        ("7: what steering does", "tests/processes/test_steering.py"),
        ("7: the same through the API", "tests/cli/test_remote_queue.py"),
        ("7: who may do that, in the API", "tests/processes/web/test_queue.py"),
        ("7: the guides, English and Thai", "tests/architecture/test_documents.py"),
    ),
    "4": (
        ("1: nine clients, both ways", "tests/e2e/test_imap_clients.py"),
        ("2: Thunderbird by its own protocol", "tests/e2e/test_thunderbird.py"),
        ("2: settings that programs look for", "tests/e2e/test_autoconfig.py"),
        ("3: a storm of sessions, and of kills", "tests/e2e/test_imap_storm.py"),
        ("3: the model of what a session may believe", "tests/test_imap_belief.py"),
        ("4, 5: resynchronising, and two who change the same", "tests/processes/imap_sessions"),
        ("3: what was expunged comes back once", "tests/e2e/test_restoring.py"),
        ("4: IMAP, by itself", "tests/protocols/imap"),
        ("4: dialogs of every extension", "tests/dialogs/imap"),
        ("5: mailboxes of several people, and two who move the same", "tests/e2e/test_sharing.py"),
        ("5: the fold of changes", "tests/projections"),
        ("5: who comes in, and how", "tests/processes/imap"),
        ("5: POP3", "tests/processes/pop3"),
        ("5: POP3 through a whole gateway", "tests/e2e/test_pop3.py"),
        ("6: the search index, and kills of who fills it", "tests/e2e/test_search_index.py"),
        ("6: open mailboxes, beside Dovecot where installed", f"{BENCH} imap"),
        ("7: rows rebuilt under clients", "tests/e2e/test_imap_rebuild.py"),
        ("8: the guides, English and Thai", "tests/architecture/test_documents.py"),
    ),
}


def main(issue: str) -> int:
    """0 when all of them passed at this commit."""
    commit = _git("rev-parse", "--short", "HEAD")
    # Its own report may lie there: of a run that is taken up again.
    if _git("status", "--porcelain", "--", ".", ":!docs/soak"):
        print("there are uncommitted changes: a soak says something about a commit", file=sys.stderr)
        return 2
    kept = ROOT / "var" / "soak" / f"{issue}-{commit}.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    done: dict[str, dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else {}
    rows = list(_rows(issue))
    for number, (what, target) in enumerate(rows, 1):
        has_passed = done.get(target, {}).get("passed") is True
        print(f"[{number}/{len(rows)}] {what}: {target}{' passed before' if has_passed else ''}", flush=True)
        if not has_passed:
            done[target] = _run(target, kept.with_suffix(".xml"))
            kept.write_text(json.dumps(done, indent=1))
    report = ROOT / "docs" / "soak" / f"{issue}.md"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(_report(issue, commit, [(what, target, done[target]) for what, target in rows]))
    print(f"wrote {report.relative_to(ROOT)}")
    return 0 if all(done[target]["passed"] for _, target in rows) else 1


def _rows(issue: str) -> Iterator[tuple[str, str]]:
    """What each row of the report is about, and the test file or bench that it runs."""
    for what, target in ACCEPTANCE[issue]:
        if (ROOT / target).is_dir():
            for file in sorted((ROOT / target).rglob("test_*.py")):
                yield what, str(file.relative_to(ROOT))
        else:
            yield what, target


def _run(target: str, xml: Path) -> dict[str, Any]:
    """Run it at full size and pass on what it says: its verdict, closing line, time and figures."""
    began = time.monotonic()
    xml.unlink(missing_ok=True)
    if target.startswith(BENCH):
        command = [sys.executable, "-m", "tests.bench.bench", *target.split()[1:]]
    else:
        options = ["-v", "-p", "no:cacheprovider", f"--junitxml={xml}", "-o", "junit_logging=system-out"]
        settings = ["-o", "timeout=0", "-o", "addopts=--import-mode=importlib"]
        command = [sys.executable, "-m", "pytest", *options, *settings, target]
    environment = {**os.environ, "SARABAN_TEST_SIZE": "full", "CI": "true", "PYTHONUNBUFFERED": "1"}
    lines = list[str]()
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            print(f"  {line}", end="", flush=True)
            lines.append(line.rstrip())
    said = next((line.strip("= ") for line in reversed(lines) if line), "no output")
    figures = list(_printed(xml)) if xml.exists() else lines
    took_s = round(time.monotonic() - began)
    return {"passed": running.returncode == 0, "said": said, "seconds": took_s, "figures": figures}


def _printed(xml: Path) -> Iterator[str]:
    """The lines that each test printed, below its name."""
    for case in ElementTree.parse(xml).getroot().iter("testcase"):
        lines = (case.findtext("system-out") or "").splitlines()
        figures = [line for line in lines if line.strip() and not NO_FIGURE.match(line)]
        if figures:
            yield str(case.get("name"))
            yield from (f"  {line}" for line in figures)


def _report(issue: str, commit: str, rows: Sequence[tuple[str, str, dict[str, Any]]]) -> str:
    table, printed = list[str](), list[str]()
    for what, target, found in rows:
        verdict = "passed" if found["passed"] else "FAILED"
        table.append(f"| {what} | `{target}` | {verdict} | {found['said']} | {found['seconds']} s |")
        if found["figures"]:
            printed += ["", f"`{target}` printed:", "", "```", *found["figures"], "```"]
    system = f"{platform.system()} {platform.release()}"
    machine = f"{system}, {os.cpu_count()} cores, Python {platform.python_version()}"
    at = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    return "\n".join(
        [
            f"# Soak of issue {issue}/9",
            "",
            f"Commit {commit}, {at}, {machine}. Command: `./just soak {issue}`.",
            "",
            "| acceptance | tests | verdict | its last line | took |",
            "|---|---|---|---|---|",
            *table,
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
