"""One's own account: what it has, and its app passwords."""

import ipaddress
import re
from datetime import timedelta
from http import HTTPStatus

from starlette.responses import Response

from gateway.domain.app_passwords import APP_PASSWORDS_MAX, LABEL_CHARACTERS_MAX, PROTOCOLS, Use
from gateway.mail.address import Address, parse_address
from gateway.processes.registry.app_passwords import AppPasswords
from gateway.processes.web.pages.faults import PageFault
from gateway.processes.web.pages.forms import field
from gateway.processes.web.pages.visit import HOME, Visit
from projections.directory import query as directory
from projections.directory.query import AppPasswordRow
from projections.mailbox.query import usage_of

DAYS_MAX = 3650
DONE = frozenset({"revoked"})


async def home(visit: Visit) -> Response:
    done = visit.request.query_params.get("done", "")
    return await _home(visit, notice=done if done in DONE else "")


async def make(visit: Visit) -> Response:
    """A further password, shown in the answer and never again."""
    office, form = visit.office, visit.form
    label = field(form, "label")
    if not 1 <= len(label) <= LABEL_CHARACTERS_MAX or not label.isprintable():
        return await _home(visit, fault=visit.say("bad-label", most=LABEL_CHARACTERS_MAX))
    days = field(form, "days")
    if days and not (re.fullmatch("[0-9]{1,4}", days) and 1 <= int(days) <= DAYS_MAX):
        return await _home(visit, fault=visit.say("bad-days"))
    networks = tuple(field(form, "networks").replace(",", " ").split())
    if not all(_is_network(each) for each in networks):
        return await _home(visit, fault=visit.say("bad-networks"))
    if len(await _app_passwords(visit)) >= APP_PASSWORDS_MAX:
        return await _home(visit, fault=visit.say("too-many", most=APP_PASSWORDS_MAX))
    use = Use(
        label,
        office.clock.now() + timedelta(days=int(days)) if days else None,
        tuple(each for each in PROTOCOLS if each in form.get("protocols", [])),
        networks,
    )
    _, password = await _registry(visit).make(_address(visit), use)
    await office.follow()
    return visit.page("made.html", password=password, label=label, account=visit.account, here=HOME)


async def ask_revoke(visit: Visit) -> Response:
    """Nothing is taken away without asking."""
    return visit.page("revoke.html", app=await _app_password(visit))


async def revoke(visit: Visit) -> Response:
    app = await _app_password(visit)
    await _registry(visit).revoke(_address(visit), app.app_id)
    await visit.office.follow()
    return visit.go(f"{HOME}?done=revoked")


async def _home(visit: Visit, *, notice: str = "", fault: str = "") -> Response:
    """fault: a whole sentence; what was typed stands in the form again."""
    account, form = visit.account, visit.form
    async with visit.office.pool.rows() as rows:
        addresses = await directory.addresses_of(rows, account.account_id)
        apps = await directory.app_passwords_of(rows, account.account_id)
        usage = await usage_of(rows, account.account_id)
    return visit.page(
        "account.html",
        HTTPStatus.BAD_REQUEST if fault else HTTPStatus.OK,
        notice=notice,
        fault_said=fault,
        account=account,
        addresses=sorted(addresses),
        apps=apps,
        usage=usage,
        percent=round(100 * usage.octets / account.quota_octets),
        protocols=PROTOCOLS,
        typed={name: field(form, name) for name in ("label", "days", "networks")},
        chosen=form.get("protocols", []),
        now=visit.office.clock.now(),
        here=HOME,
    )


async def _app_passwords(visit: Visit) -> list[AppPasswordRow]:
    async with visit.office.pool.rows() as rows:
        return await directory.app_passwords_of(rows, visit.account.account_id)


async def _app_password(visit: Visit) -> AppPasswordRow:
    """The one that the path names, if it is one's own. Raises PageFault."""
    for app in await _app_passwords(visit):
        if app.app_id == visit.parts["app_id"]:
            return app
    raise PageFault(HTTPStatus.NOT_FOUND, "no-app-password")


def _registry(visit: Visit) -> AppPasswords:
    assert visit.caller is not None, "it is for who has signed in"
    return visit.office.deciding(AppPasswords, visit.caller.actor)


def _address(visit: Visit) -> Address:
    return parse_address(visit.account.address)


def _is_network(said: str) -> bool:
    try:
        ipaddress.ip_network(said, strict=False)
    except ValueError:
        return False
    return True
