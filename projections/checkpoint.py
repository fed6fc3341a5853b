"""Checkpoints: how far a read model has folded the log, moved in the transaction of its rows.

Position and digest go forward by compare-and-set: of two projectors on the same slots one is refused, and
nothing is folded twice (architecture §6). A model that lost its last transactions in a crash of the database
has lost rows and checkpoint alike and folds them again, so these commits need not wait for the disk.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import asyncpg

from gateway.domain.events import EVENT_TYPES, ConsumerHeld, ConsumerReleased
from gateway.ports import (
    START,
    Checkpoint,
    Clock,
    Deposed,
    EventLog,
    LogCorrupt,
    Position,
    Recorded,
    Unavailable,
)
from projections.readmodel import ALL_SLOTS, Pool, ReadModel, Rows, schema_of, slot_of_subject

COMPARE_AGAIN_AFTER_S: Final = 0.5
POLL_FIRST_S: Final = 0.004
POLL_LAST_S: Final = 1.0  # hints may be lost: who waits also looks once a second (architecture §6)

# Locks in the order of slots, so two projectors queue up instead of locking each other out. What the fold
# needs to be set is set on the way, for the transaction this is in or makes: a question to the server less.
# random_page_cost: rows of an event are found by the index, not by reading a table of all accounts.
ADVANCE = """
WITH settled AS (
    SELECT set_config('search_path', $1, true), set_config('synchronous_commit', 'off', true),
        set_config('random_page_cost', '1.1', true)
), mine AS (
    SELECT slot, position FROM checkpoints.checkpoint, settled
    WHERE schema = $1 AND slot = ANY($2::smallint[]) ORDER BY slot FOR UPDATE OF checkpoint
)
UPDATE checkpoints.checkpoint AS c SET position = $4, digest = $5
FROM mine JOIN unnest($2::smallint[], $3::bigint[]) AS known (slot, position) USING (slot, position)
WHERE c.schema = $1 AND c.slot = mine.slot
"""


class Poison(Exception):
    """An event a model cannot fold. The consumer stops; the message says how to pass over it."""

    def __init__(self, model: str, event: Recorded, reason: str) -> None:
        super().__init__(
            f"{model} cannot fold position {event.position} ({event.topic}): {reason}. To pass over it: "
            f"saraban log hold {event.position} --consumer {model} --reason TEXT"
        )
        self.model, self.position, self.topic, self.reason = model, event.position, event.topic, reason


class Projection:
    """One read model and how far it is; a worker owns a range of its slots.

    schema: where the tables are, other than the model's own only for a rebuild.
    """

    def __init__(
        self, model: ReadModel, pool: Pool, slots: Sequence[int] = ALL_SLOTS, schema: str | None = None
    ) -> None:
        self.model = model
        self.schema = schema or model.schema
        self._pool = pool
        self._at = dict.fromkeys(slots if model.is_sharded else (0,), START)
        self.held: set[int] = set()  # positions it passes over

    async def load(self, log: EventLog) -> Checkpoint:
        """Read checkpoints and holds, and compare with the log. Returns where to follow from.

        Also after an Unavailable: a crash of the database may have taken transactions it had answered.
        Raises LogCorrupt when the log no longer holds what a checkpoint saw.
        """
        async with self._pool.rows() as rows:
            known = await rows.fetch(
                "SELECT slot, position, digest FROM checkpoints.checkpoint WHERE schema = $1", self.schema
            )
        if len(known) < len(self._at):
            raise Unavailable("postgres", f"the tables of {self.schema} have not been made")
        self._at |= {
            row["slot"]: Checkpoint(Position(row["position"]), row["digest"])
            for row in known
            if row["slot"] in self._at
        }
        for checkpoint in set(self._at.values()) - {START}:
            await _compare(log, checkpoint)
        self._note_holds(await log.history(f"consumer.{self.model.name}"))
        return min(self._at.values(), key=lambda checkpoint: checkpoint.position)

    @property
    def position(self) -> Position:
        """Everything up to here is in the rows, of all its slots."""
        return min(checkpoint.position for checkpoint in self._at.values())

    async def take(self, batch: Sequence[Recorded]) -> None:
        """Fold up to 1,000 events in. They come in order; the same ones twice change nothing.

        Raises Poison for an event that cannot be folded, all before it being in the rows by then; Deposed
        when another projector has moved the checkpoint; LogCorrupt when the log is not the one folded before.
        """
        self._check_digests(batch)
        known = self.position
        fresh = [event for event in batch if event.position > known]
        if not fresh:
            return
        assert fresh[0].position == known + 1, f"{self.schema} is at {known}, not before {fresh[0].position}"
        self._note_holds([event for event in fresh if event.subject == f"ev.consumer.{self.model.name}"])
        try:
            await self._fold(fresh)
        except (Unavailable, Deposed):
            raise
        except Exception as error:
            if len(fresh) == 1:
                raise Poison(self.model.name, fresh[0], f"{type(error).__name__}: {error}") from error
            for event in fresh:  # splits never change rows: one by one finds the one that fails
                await self.take([event])

    async def _fold(self, batch: Sequence[Recorded]) -> None:
        wanted = [event for event in batch if self._wants(event)]
        keys = await self.model.keys_for(wanted)
        reached = Checkpoint(batch[-1].position, batch[-1].digest)
        if wanted:
            async with self._pool.transaction() as rows:
                await self._advance(reached, rows)
                await self.model.apply(wanted, rows, keys)
        else:
            async with self._pool.rows() as rows:
                await self._advance(reached, rows)
        self._at = dict.fromkeys(self._at, reached)

    async def _advance(self, reached: Checkpoint, rows: Rows) -> None:
        """Move the checkpoint of all slots; a transaction this is in goes on in the model's schema."""
        slots, known = list(self._at), [checkpoint.position for checkpoint in self._at.values()]
        moved = await rows.execute(ADVANCE, self.schema, slots, known, reached.position, reached.digest)
        if moved != f"UPDATE {len(slots)}":
            raise await self._refused(rows)

    async def _refused(self, rows: Rows) -> Exception:
        """Why the checkpoint is not where this projector left it."""
        last: int = await rows.fetchval(
            """SELECT coalesce(min(position), 0) FROM checkpoints.checkpoint
            WHERE schema = $1 AND slot = ANY($2::smallint[])""",
            self.schema,
            list(self._at),
        )
        if last < self.position:
            return Unavailable("postgres", f"it lost the last transactions of {self.schema} in a crash")
        return Deposed(f"another projector folds {self.schema}")

    def _wants(self, event: Recorded) -> bool:
        """Foreign slots are dropped by their subject, undecoded; a topic nobody knows wants a newer build."""
        if event.topic not in self.model.topics:
            assert event.topic in EVENT_TYPES, f"this build does not know {event.topic}"
            return False
        if event.position in self.held:
            return False
        slot = slot_of_subject(event.subject) if self.model.is_sharded else 0
        return slot in self._at and event.position > self._at[slot].position

    def _note_holds(self, events: Sequence[Recorded]) -> None:
        for recorded in events:
            match recorded.event:
                case ConsumerHeld(position=position):
                    self.held.add(position)
                case ConsumerReleased(position=position):
                    self.held.discard(position)
                case other:
                    raise Poison(self.model.name, recorded, f"{type(other).__name__} is no hold")

    def _check_digests(self, batch: Sequence[Recorded]) -> None:
        """A slot ahead of the others sees its own checkpoint come by."""
        for checkpoint in {c.position: c for c in self._at.values()}.values():
            index = checkpoint.position - batch[0].position
            if 0 <= index < len(batch) and batch[index].digest != checkpoint.digest:
                raise LogCorrupt(checkpoint.position, f"{self.schema} has folded another event there")


async def compare_all(pool: Pool, log: EventLog) -> None:
    """Raises LogCorrupt when the log no longer holds what any rows were folded from; for who starts."""
    async with pool.rows() as rows:
        known = await rows.fetch(
            "SELECT DISTINCT position, digest FROM checkpoints.checkpoint WHERE position > 0 ORDER BY 1"
        )
    for row in known:
        await _compare(log, Checkpoint(Position(row["position"]), row["digest"]))


async def keep_comparing(pool: Pool, log: EventLog, is_due: asyncio.Event, clock: Clock) -> None:
    """compare_all whenever `is_due` is set, until cancelled; waits while log or rows cannot answer."""
    while True:
        await is_due.wait()
        is_due.clear()
        try:
            await compare_all(pool, log)
        except Unavailable:
            is_due.set()
            await clock.sleep(COMPARE_AGAIN_AFTER_S)


async def _compare(log: EventLog, checkpoint: Checkpoint) -> None:
    try:
        event = await log.read(checkpoint.position)
    except IndexError as error:
        raise LogCorrupt(checkpoint.position, "the log is shorter than the rows") from error
    if event.digest != checkpoint.digest:
        raise LogCorrupt(checkpoint.position, "another event was folded there")


# --- tables --------------------------------------------------------------------------------------------


async def create(pool: Pool, models: Sequence[ReadModel]) -> None:
    """Make what is missing of schemas, tables and checkpoints. The same twice changes nothing."""
    async with pool.transaction() as rows:
        await rows.execute("SELECT pg_advisory_xact_lock(hashtext('saraban schemas'))")
        await rows.execute(Path(__file__).with_name("checkpoint.sql").read_text(encoding="utf-8"))
        for model in models:
            await create_tables(rows, model, model.schema)


async def create_tables(rows: Rows, model: ReadModel, schema: str) -> None:
    if await rows.fetchval("SELECT 1 FROM pg_namespace WHERE nspname = $1", schema) is None:
        await rows.execute(f"CREATE SCHEMA {schema}")
        await rows.execute("SELECT set_config('search_path', $1, true)", schema)
        await rows.execute(model.definition())
    await rows.execute(
        "INSERT INTO checkpoints.checkpoint SELECT $1, unnest($2::smallint[]), 0, '' ON CONFLICT DO NOTHING",
        schema,
        list(ALL_SLOTS) if model.is_sharded else [0],
    )


async def drop(pool: Pool, schema: str) -> None:
    """Forget rows and checkpoints alike; the log has it all."""
    async with pool.transaction() as rows:
        await rows.execute("DELETE FROM checkpoints.checkpoint WHERE schema = $1", schema)
        await rows.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


# --- waiting -------------------------------------------------------------------------------------------


async def position_of(rows: Rows, model: type[ReadModel], slot: int | None = None) -> Position:
    """Everything up to here is in the rows of the model, or of one of its slots."""
    try:
        position: int | None = await rows.fetchval(
            """SELECT min(position) FROM checkpoints.checkpoint
            WHERE schema = $1 AND ($2::int IS NULL OR slot = $2)""",
            schema_of(model),
            slot,
        )
    except asyncpg.UndefinedTableError as error:
        raise Unavailable("postgres", "the tables have not been made") from error
    return Position(position or 0)


async def reached(
    pool: Pool,
    model: type[ReadModel],
    position: Position,
    timeout_s: float,
    *,
    slot: int | None = None,
    hint: asyncio.Event | None = None,
    first_s: float = POLL_FIRST_S,
) -> bool:
    """Wait until the rows have reached a position; False when they did not in time.

    first_s: until the second look; who is in no hurry asks less often. hint: set by who hears `changed.…`;
    it only shortens the wait, and comes before the first look, as who asks has just appended.
    Raises Unavailable.
    """
    pause_s = first_s
    try:
        async with asyncio.timeout(timeout_s):
            if hint is not None:
                await _hinted(hint, pause_s)
            while True:
                if hint is not None:
                    hint.clear()
                async with pool.rows() as rows:
                    if await position_of(rows, model, slot) >= position:
                        return True
                await _hinted(hint, pause_s)
                pause_s = min(2 * pause_s, POLL_LAST_S)
    except TimeoutError:
        return False


async def _hinted(hint: asyncio.Event | None, at_most_s: float) -> None:
    try:
        async with asyncio.timeout(at_most_s):
            await (hint or asyncio.Event()).wait()
    except TimeoutError:
        return
