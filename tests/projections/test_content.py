"""The content rows: where a content is, which objects are named; the same however the log is cut."""

import hashlib
import random

import pytest
from msgspec.structs import replace

from gateway.domain import codec
from gateway.domain.changes import MessageAppended
from gateway.domain.events import ContentPacked, ContentStored, MailAccepted, PackEntry
from gateway.domain.group import encode_group
from gateway.domain.histories import CONTENT
from gateway.ports import Fact, Place, Position, Recorded
from projections.checkpoint import Projection, create
from projections.content.project import ContentModel
from projections.content.query import ContentRows
from projections.readmodel import Pool
from projections.rebuild import rebuild
from tests.contracts.facts import ACTOR, BY, NOW
from tests.projections.busy import busy_world
from tests.projections.mailboxes import append
from tests.projections.rows import Table, fold, tables
from tests.projections.world import stored


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def packed(pack: str, *entries: tuple[str, int, int]) -> ContentPacked:
    found = tuple(PackEntry(sha(name), offset, octets, 1) for name, offset, octets in entries)
    return ContentPacked(at=NOW, actor=ACTOR, by=BY, pack=pack, octets=900, digest=sha(pack), entries=found)


def object_stored(name: str, octets: int) -> ContentStored:
    return ContentStored(at=NOW, actor=ACTOR, by=BY, name=name, octets=octets, digest=sha(name))


def log_of(*events: ContentPacked | ContentStored) -> list[Recorded]:
    group = encode_group([Fact(CONTENT, event) for event in events])
    return [
        Recorded(Position(at), f"ev.{fact.subject}", fact.topic, fact.state)
        for at, fact in enumerate(group, 1)
    ]


@pytest.fixture
async def projection(pool: Pool) -> Projection:
    await create(pool, [ContentModel()])
    return Projection(ContentModel(), pool)


async def test_a_content_is_where_it_was_packed_first(pool: Pool, projection: Projection) -> None:
    rows = ContentRows(pool)
    await projection.take(
        log_of(packed("packs/1", ("a", 0, 10), ("b", 10, 20)), packed("packs/2", ("b", 0, 20), ("c", 20, 5)))
    )
    assert await rows.places([sha(name) for name in "abcd"]) == {
        sha("a"): Place("packs/1", 0, 10),
        sha("b"): Place("packs/1", 10, 20),
        sha("c"): Place("packs/2", 20, 5),
    }


async def test_objects_and_packs_are_named_by_events(pool: Pool, projection: Projection) -> None:
    rows = ContentRows(pool)
    await projection.take(log_of(object_stored("attachments/aa/1", 10), packed("packs/1", ("a", 0, 10))))
    asked = {"attachments/aa/1", "packs/1", "attachments/aa/2", "large/bb/3"}
    assert await rows.named(asked) == {"attachments/aa/1", "packs/1"}
    assert await rows.reach(Position(2), 1.0)
    assert not await rows.reach(Position(3), 0.01)


@pytest.mark.parametrize("kind", [MailAccepted, MessageAppended])
async def test_a_message_names_its_objects_although_nobody_stored_them_now(
    pool: Pool, projection: Projection, kind: type[MailAccepted] | type[MessageAppended]
) -> None:
    world = busy_world(43, 5)
    append(world, world.accounts[0], world.accounts[0].inbox_id)
    accepted = next(found for found in world.log if isinstance(found.event, kind))
    event = accepted.event
    assert isinstance(event, MailAccepted | MessageAppended)
    content = replace(event.message.content, attachments=("attachments/aa/1",), large="large/bb/2")
    event = replace(event, message=replace(event.message, content=content))
    log = [Recorded(Position(1), accepted.subject, accepted.topic, codec.encode(event))]
    await projection.take(log)
    named = await ContentRows(pool).named({"attachments/aa/1", "large/bb/2", ""})
    assert named == {"attachments/aa/1", "large/bb/2"}


async def test_an_object_stored_again_is_as_the_last_event_says(pool: Pool, projection: Projection) -> None:
    await projection.take(log_of(object_stored("large/aa/1", 10), object_stored("large/aa/1", 12)))
    async with pool.rows() as rows:
        assert await rows.fetchval("SELECT octets FROM content_v3.object WHERE name = 'large/aa/1'") == 12


async def test_batches_and_repetition_never_change_rows(pool: Pool) -> None:
    """Also the objects that mails alone name: a busy log and events of content between."""
    world, chance = busy_world(41, 120), random.Random(3)
    events: list[ContentPacked | ContentStored] = []
    for number in range(200):
        names = [f"content-{chance.randrange(150)}" for _ in range(chance.randrange(1, 5))]
        if number % 3:
            events.append(packed(f"packs/{number // 4}", *((name, number, 7) for name in names)))
        else:
            events.append(object_stored(f"attachments/{chance.randrange(40)}", number))
    log = [
        Recorded(Position(at), recorded.subject, recorded.topic, recorded.state)
        for at, recorded in enumerate([*world.log, *log_of(*events)], 1)
    ]
    await create(pool, [ContentModel()])
    found = list[dict[str, Table]]()
    for batch in (1_000, 37, 1):
        projection = Projection(ContentModel(), pool)
        await fold([projection], log, batch)
        await fold([projection], log, batch)
        found.append(await tables(pool, "content_v3"))
        async with pool.transaction() as rows:
            await rows.execute("TRUNCATE content_v3.pack, content_v3.content, content_v3.object")
            await rows.execute("UPDATE checkpoints.checkpoint SET position = 0, digest = ''")
    assert found[0] == found[1] == found[2]
    assert all(found[0].values())


async def test_rebuilt_rows_equal_the_live_ones(pool: Pool, projection: Projection) -> None:
    world = busy_world(42, 120)
    await projection.take(world.log)
    comparison = await rebuild(ContentModel(), stored(world), pool)
    assert comparison.is_equal, comparison.different
