"""Mails that match, each with its story and with what its addresses and agencies are called now."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace

from gateway.mail.ids import AgencyId
from projections.directory.names import Names, known_names, other_names
from projections.readmodel import Rows
from projections.trace.query import MailRow, RefusalRow, Step, Wanted, find_mails, find_refusals, story_of
from projections.trace.sight import sight_of

STEPS_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Story(MailRow):
    """A mail and what happened to it, in log order.

    called_now: addresses of it that have another name by now. agencies: those that were renamed, by all
    their names.
    """

    called_now: dict[str, str]
    agencies: dict[AgencyId, str]
    steps: tuple[Step, ...]


async def read_stories(
    rows: Rows,
    wanted: Wanted,
    *,
    agencies: Collection[AgencyId] | None = None,
    after: int = 0,
    limit: int = 1_000,
) -> tuple[list[Story], int | None]:
    """The last mails that match, in log order, with up to 10,000 steps; and after which step to go on.

    agencies: as far as these may see them; None: all. after: position of the last step seen.
    """
    names = await known_names(rows, agencies)
    wanted = await by_all_names(rows, wanted)
    mails = await find_mails(rows, wanted, limit=limit, newest=True, agencies=agencies)
    ids = [mail.mail_id for mail in mails]
    steps = await story_of(rows, ids, after=after, limit=STEPS_PAGE)
    more = steps[-1].position if len(steps) == STEPS_PAGE else None
    if agencies is not None:
        steps = (await sight_of(rows, ids, agencies)).see(steps)
    by_mail: dict[str, list[Step]] = {}
    for step in steps:
        by_mail.setdefault(step.mail_id, []).append(step)
    return [_story(mail, by_mail.get(mail.mail_id, []), names) for mail in mails], more


async def read_refusals(
    rows: Rows,
    wanted: Wanted,
    *,
    agencies: Collection[AgencyId] | None = None,
    after: int = 0,
    limit: int = 1_000,
) -> list[RefusalRow]:
    """The last refusals that match, in log order. after: position of the last one seen."""
    return await find_refusals(
        rows, await by_all_names(rows, wanted), after=after, limit=limit, agencies=agencies
    )


async def by_all_names(rows: Rows, wanted: Wanted) -> Wanted:
    """Sender and recipient by the further names of their addresses too."""
    senders, recipients = await other_names(rows, wanted.from_), await other_names(rows, wanted.to)
    return replace(wanted, from_too=senders, to_too=recipients)


def _story(mail: MailRow, steps: list[Step], names: Names) -> Story:
    addresses = {mail.mail_from, *(address for step in steps for address in step.addresses)}
    agencies = {step.agency_id: names.agency(step.agency_id) for step in steps if step.agency_id}
    return Story(
        **asdict(mail),
        called_now=names.changed(sorted(addresses)),
        agencies={agency_id: name for agency_id, name in agencies.items() if name},
        steps=tuple(steps),
    )
