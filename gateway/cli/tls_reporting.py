"""`saraban tls-report`: how TLS with other hosts went on one day."""

from datetime import date, datetime, timedelta
from typing import Any

import click

from gateway.cli.desk import at_desk
from gateway.cli.output import as_json, print_json, print_rows
from gateway.domain.tls_report import TlsSessionsCounted, report, tls_history
from gateway.wiring.desk import Desk


@click.command("tls-report")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Which day, UTC; yesterday when not given.")
@click.option("--domain", default="", help="One domain, or next hop, alone.")
@at_desk
async def tls_report(desk: Desk, day: datetime | None, domain: str) -> None:
    """Tell by domain how many sessions with its hosts had TLS, and what failed. The last hour is not in it.

    With --json they are reports as RFC 8460 §4.4 writes them, one for each domain.

    Example: saraban tls-report --day 2026-11-27 --domain dld.go.th
    """
    of: date = day.date() if day else desk.clock.now().date() - timedelta(days=1)
    events = [recorded.event for recorded in await desk.log.history(tls_history(of))]
    counted = [event for event in events if isinstance(event, TlsSessionsCounted)]
    hostname = desk.settings.hostname
    made = report(counted, of, organisation=hostname, contact=f"postmaster@{hostname}")
    shown = [each for each in made if not domain or _domain_of(each) == domain.lower()]
    if as_json():
        print_json(shown)
        return
    rows = [_row(policy) for each in shown for policy in each["policies"]]
    print_rows(rows, ("domain", "policy", "went_well", "failed", "failures"))


def _domain_of(made: dict[str, Any]) -> str:
    domain: str = made["policies"][0]["policy"]["policy-domain"]
    return domain


def _row(policy: dict[str, Any]) -> dict[str, Any]:
    details = policy["failure-details"]
    return {
        "domain": policy["policy"]["policy-domain"],
        "policy": policy["policy"]["policy-type"],
        "went_well": policy["summary"]["total-successful-session-count"],
        "failed": policy["summary"]["total-failure-session-count"],
        "failures": [f"{failed['failed-session-count']} {failed['result-type']}" for failed in details],
    }
