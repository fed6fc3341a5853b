"""What a read model is, and the pool its rows are reached by.

A read model folds events into tables of its own schema, `<name>_v<version>` (architecture §6): a new version
folds beside the old one. A fold is deterministic and knows nothing but the events: no clock, no sequence,
no chance. asyncpg is known here and in the models; a process passes `Pool` and `Rows` on without it.
"""

import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import asyncpg
import orjson

from gateway.mail.ids import SLOTS, AccountId, slot_of
from gateway.ports import Recorded, Unavailable
from projections.keyring import NO_KEYS, Keys

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Rows = PoolConnectionProxy[asyncpg.Record]
else:
    Rows = Any

# What the server or the line to it may answer at any time: nothing happened, try again later.
AWAY: Final = (
    ConnectionError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # seen on a connection whose server was killed while it was idle
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,  # no such database: somebody has to make it
)

COMMAND_TIMEOUT_S: Final = 60.0
ACQUIRE_TIMEOUT_S: Final = 10.0


class ReadModel(ABC):
    """Rows folded from events. Fresh from the log they are always the same, octet for octet."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    topics: ClassVar[frozenset[str]]  # what it folds; everything else is only passed over
    is_sharded: ClassVar[bool] = False  # True: a checkpoint for each slot of accounts, else one in all
    absorbed: ClassVar[tuple[str, ...]] = ()  # names of former models whose tables it has taken over
    wakes_readers: ClassVar[bool] = False  # True: sessions wait for these rows of their account
    awaited: ClassVar[frozenset[str]] = frozenset()  # of `topics`, those somebody waits for: folded at once

    @property
    def schema(self) -> str:
        return schema_of(type(self))

    async def keys_for(self, batch: Sequence[Recorded]) -> Keys:
        """What opens the seals this batch's fold wants opened; fetched before its transaction begins."""
        return NO_KEYS

    @abstractmethod
    async def apply(self, batch: Sequence[Recorded], rows: Rows, keys: Keys) -> None:
        """Fold events of `topics` in, in order, up to 1,000. Tables are named without their schema.

        The transaction is the caller's; the checkpoint is moved in it.
        """

    @classmethod
    def definition(cls) -> str:
        """The tables: schema.sql beside the model's module, or beside that of the model it is made from."""
        sources = (Path(sys.modules[kind.__module__].__file__ or "") for kind in cls.__mro__)
        files = (source.with_name("schema.sql") for source in sources)
        return next(file for file in files if file.exists()).read_text(encoding="utf-8")


def schema_of(model: type[ReadModel]) -> str:
    return f"{model.name}_v{model.version}"


def slot_of_subject(subject: str) -> int:
    """The slot a history of an account falls into: `ev.box.07.acc_…` says so, `ev.tree.acc_…` is hashed."""
    tokens = subject.split(".")
    return int(tokens[2]) if tokens[1] == "box" else int(slot_of(tokens[-1]))


def account_of_subject(subject: str) -> AccountId | None:
    """Whose mailboxes a history is about: `ev.box.07.acc_…`, `ev.tree.acc_…`; None: nobody's."""
    tokens = subject.split(".")
    return AccountId(tokens[-1]) if tokens[1] in ("box", "tree") else None


ALL_SLOTS = range(SLOTS)


class Pool:
    """Connections to the rows. The server being away is Unavailable, whatever the driver calls it."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool

    @asynccontextmanager
    async def rows(self) -> AsyncIterator[Rows]:
        """A connection; each statement stands alone."""
        try:
            rows = await self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S)
        except (OSError, *AWAY) as error:
            raise _away(error) from error
        try:
            yield rows
        except AWAY as error:
            with suppress(asyncpg.InterfaceError):  # it is lost, and the pool has it back already
                rows.terminate()  # nobody gets a connection in an unknown state
            raise _away(error) from error
        finally:
            with suppress(*AWAY):  # what the body did is done; the pool drops a connection it cannot reset
                await self._pool.release(rows)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Rows]:
        """A connection in a transaction: all of the body is durable afterwards, or none of it happened."""
        async with self.rows() as rows, rows.transaction():
            yield rows

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Rows]:
        """A connection that sees the rows of one moment, for reading."""
        async with self.rows() as rows, rows.transaction(isolation="repeatable_read", readonly=True):
            yield rows


@asynccontextmanager
async def open_pool(dsn: str, *, size: int = 8) -> AsyncIterator[Pool]:
    """size: connections at most. Raises Unavailable when the server does not answer."""
    try:
        pool = await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=size,
            init=_learn_jsonb,
            reset=_leave_as_it_is,
            timeout=ACQUIRE_TIMEOUT_S,
            command_timeout=COMMAND_TIMEOUT_S,
        )
    except (OSError, *AWAY) as error:
        raise _away(error) from error
    try:
        yield Pool(pool)
    finally:
        await _close(pool)


def _away(error: Exception) -> Exception:
    """Unavailable; but what the driver calls an interface error may be a wrong DSN, a mistake of ours."""
    if isinstance(error, ValueError):
        return error
    return Unavailable("postgres", str(error) or type(error).__name__)


async def _close(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    try:
        await pool.close()
    except AWAY:  # the server went first
        pool.terminate()


async def _leave_as_it_is(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Settings here are local to a transaction and nobody listens: there is nothing to undo, and a question
    to the server less for each use."""


async def _learn_jsonb(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """JSONB columns are Python values, by orjson; its binary form is a version octet and the text."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda octets: orjson.loads(octets[1:]),
    )
