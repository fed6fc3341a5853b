"""All of an agency's mail in files, for who answers for it: each message octet for octet as a reader gets it.

    <folder>/<agency_id>/accounts.jsonl                  whose account each folder is
    <folder>/<agency_id>/<account_id>/<mailbox_id>/00000017-mail_….eml

A file appears under its name when it is whole and on disk; what is there already is not read again. So an
export goes on where it was killed, and one that is done takes what came in since. Files are for the gateway's
own user alone: they are in the clear. That they were written is an event of the account (message.read)
before the first octet leaves.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import IO, Final

import msgspec

from gateway.domain import sealing
from gateway.domain.events import Actor, By, Fact, Stamp
from gateway.domain.histories import box_history
from gateway.domain.registration import Refused
from gateway.domain.trial import Files, Lack
from gateway.mail.address import parse_address
from gateway.mail.ids import AccountId, AgencyId, MailboxId
from gateway.mail.uids import ranges_of
from gateway.ports import (
    Clock,
    ContentCorrupt,
    ContentMissing,
    ContentStore,
    Entropy,
    EventLog,
    KeyForgotten,
    KeyStore,
    Lane,
    Unavailable,
)
from gateway.processes import maillog
from gateway.processes.presenting import open_message
from gateway.processes.reading import Reader, Reading
from gateway.processes.registry.registry import Registry
from projections.checkpoint import reached
from projections.directory import query as directory
from projections.directory.project import DirectoryModel
from projections.directory.query import AccountRow
from projections.mailbox import query as mailboxes
from projections.mailbox.project import MailboxModel
from projections.mailbox.query import Head, MessageRow
from projections.readmodel import Pool

REACH_TIMEOUT_S: Final = 60.0
PAGE: Final = 500
PART: Final = ".part"  # behind the name of a file that is not whole
REASON: Final = "การทดลองใช้ของหน่วยงานสิ้นสุดแล้ว / the trial of the agency has ended"
STEWARD: Final = Actor("system", "steward")


class Exports:
    """The port Leaving."""

    def __init__(
        self,
        *,
        folder: Path,
        pool: Pool,
        log: EventLog,
        lane: Lane,
        content: ContentStore,
        keys: KeyStore,
        clock: Clock,
        entropy: Entropy,
        by: By,
    ) -> None:
        self._folder, self._pool, self._content = folder, pool, content
        self._log, self._lane = log, lane
        self._keys, self._clock, self._by = keys, clock, by
        self._reading = Reading(keys, entropy)
        self._registry = Registry(
            log=log,
            keys=keys,
            count_accounts=_nobody_counts,
            clock=clock,
            entropy=entropy,
            actor=STEWARD,
            by=by,
        )

    async def export(self, agency_id: AgencyId) -> Files:
        """Everything in its mailboxes is in files, but what is lacking: files and folders are on disk.

        What was erased cannot be opened any more and is left out; what the store has lost is lacking, and no
        reason to keep the rest.
        """
        await self._follow()
        into = self._folder / agency_id
        accounts = [account async for account in self._accounts(agency_id)]
        _private(into)
        listed = b"".join(msgspec.json.encode(_shown(account)) + b"\n" for account in accounts)
        await _write(into / "accounts.jsonl", _once(listed))
        files = Files(accounts=len(accounts))
        for account in accounts:
            files += await self._account(into / account.account_id, account.account_id)
        for folder in (into, self._folder, self._folder.parent):
            await _sync(folder)
        return files

    async def close_accounts(self, agency_id: AgencyId) -> None:
        """All that are open, so that their addresses rest."""
        await self._follow()
        async for account in self._accounts(agency_id):
            if account.status != "closed" and account.address:
                with contextlib.suppress(Refused):  # somebody was quicker
                    await self._registry.close_account(parse_address(account.address), REASON)

    async def _follow(self) -> None:
        """Wait until the rows know all that is in the log now."""
        last = await self._log.last()
        for model in (DirectoryModel, MailboxModel):
            if not await reached(self._pool, model, last, REACH_TIMEOUT_S):
                raise Unavailable(model.name, f"its rows have not reached position {last}")

    async def _accounts(self, agency_id: AgencyId) -> AsyncIterator[AccountRow]:
        after = ""
        while True:
            async with self._pool.rows() as rows:
                page = await directory.list_accounts(rows, agency_id=agency_id, after=after, limit=PAGE)
            for account in page:
                yield account
            if len(page) < PAGE:
                return
            after = page[-1].account_id

    async def _account(self, into: Path, account_id: AccountId) -> Files:
        """Its messages."""
        async with self._pool.rows() as rows:
            found = await mailboxes.list_mailboxes(rows, account_id)
        files = Files()
        for each in found:
            files += await self._mailbox(into / each.mailbox_id, account_id, each.mailbox_id)
        await _sync(into)
        return files

    async def _mailbox(self, into: Path, account_id: AccountId, mailbox_id: MailboxId) -> Files:
        after, files = 0, Files()
        while True:
            async with self._pool.rows() as rows:
                page = await mailboxes.list_messages(
                    rows, account_id, mailbox_id, after_uid=after, limit=PAGE
                )
            if page:
                files += await self._page(into, account_id, mailbox_id, page)
            if len(page) < PAGE:
                # Also what a run wrote that was killed: a name is on disk with its folder alone.
                await _sync(into)
                return files
            after = page[-1].uid

    async def _page(
        self, into: Path, account_id: AccountId, mailbox_id: MailboxId, page: Sequence[Head]
    ) -> Files:
        missing = [head.uid for head in page if not (into / _name(head)).exists()]
        files = Files(messages=len(page) - len(missing))
        if not missing:
            return files
        async with self._pool.rows() as rows:
            found = await mailboxes.read_messages(rows, account_id, mailbox_id, ranges_of(missing))
        if not await self._note_read(account_id, mailbox_id, missing):
            return files
        _private(into.parent)
        _private(into)
        for row in found:
            files += await self._message(into, row)
        return files

    async def _message(self, into: Path, row: MessageRow) -> Files:
        """One, lacking, or none: it was erased."""
        path = into / _name(row.head)
        try:
            opened = await open_message(self._keys, row.head.mail_id, row.message, row.keys)
            await _write(path, opened.octets(self._content))
        except KeyForgotten:
            return Files()
        except (ContentMissing, ContentCorrupt, sealing.BrokenSeal) as error:
            maillog.service_unavailable(service="content", reason=str(error), doing="export")
            path.with_name(path.name + PART).unlink(missing_ok=True)
            return Files(lack=Lack(1, ("/".join(path.parts[-3:]),)))
        return Files(messages=1)

    async def _note_read(self, account_id: AccountId, mailbox_id: MailboxId, uids: Sequence[int]) -> bool:
        """message.read/1 is on disk when this returns. False: the account was erased."""
        reader = Reader("export", "saraban, steward", reason=REASON)
        stamp = Stamp(at=self._clock.now(), actor=STEWARD, by=self._by)
        try:
            event = await self._reading.event(account_id, mailbox_id, ranges_of(sorted(uids)), reader, stamp)
        except KeyForgotten:
            return False
        await self._lane.append([Fact(box_history(account_id), event)])
        return True


async def _nobody_counts(agency_id: AgencyId) -> int:
    raise AssertionError("nobody counts accounts to close them")


def _shown(account: AccountRow) -> dict[str, str]:
    return {
        "account_id": account.account_id,
        "address": account.address,
        "display_name": account.display_name,
        "kind": account.kind,
        "status": account.status,
    }


def _name(head: Head) -> str:
    return f"{head.uid:08d}-{head.mail_id}.eml"


# --- files --------------------------------------------------------------------------------------------------


def _private(folder: Path) -> None:
    """There, for its owner alone. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _new(path: Path) -> IO[bytes]:
    """Written anew, for its owner alone. Raises OSError."""
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")  # noqa: PTH123


async def _once(octets: bytes) -> AsyncIterator[bytes]:
    yield octets


async def _write(path: Path, pieces: AsyncIterator[bytes]) -> None:
    """Whole under its name, or not at all. Raises OSError, and what reading the pieces raises."""
    part = path.with_name(path.name + PART)
    with _new(part) as file:
        async for piece in pieces:
            file.write(piece)
        file.flush()
        await asyncio.to_thread(os.fsync, file.fileno())
    part.replace(path)


async def _sync(folder: Path) -> None:
    """The names in it are on disk; where there is none, nothing had to be written. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            await asyncio.to_thread(os.fsync, opened)
        finally:
            os.close(opened)
