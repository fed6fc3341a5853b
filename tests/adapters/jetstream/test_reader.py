"""Reading along: bounded, prompt, and undisturbed by what happens to the server's side of it."""

from gateway.adapters.jetstream import JetStreamLog
from gateway.ports import START, Position
from tests.contracts.facts import fact, numbers, take, until


async def fill(log: JetStreamLog, count: int) -> None:
    after = Position(0)
    for start in range(0, count, 500):
        group = [fact(n, "route.0") for n in range(start, start + 500)]
        after = await log.append_guarded(group, {"route.0": after})


async def test_a_slow_reader_is_sent_no_more_than_it_may_hold(log: JetStreamLog) -> None:
    await fill(log, 8000)
    stats = log.link.client.stats
    following = log.follow(START)
    received = stats["in_msgs"]
    events = await take(following, 1)
    await until(lambda: stats["in_msgs"] >= received + 2000)
    for _ in range(20):
        await log.last()  # what the server had still to send arrives before its answer
    assert stats["in_msgs"] - received <= 4000 + 1000 + 100  # what waits, the first batch, answers
    assert numbers(events + await take(following, 8000 - len(events))) == list(range(8000))


async def test_a_lost_consumer_is_made_again(log: JetStreamLog) -> None:
    await fill(log, 1500)
    following = log.follow(START)
    events = await take(following, 1)
    for consumer in (await log.link.api(f"CONSUMER.NAMES.{log.stream}"))["consumers"]:
        await log.link.api(f"CONSUMER.DELETE.{log.stream}.{consumer}")
    await log.append_guarded([fact(1500, "route.0")], {"route.0": Position(1500)})
    events += await take(following, 1501 - len(events))
    assert numbers(events) == list(range(1501))
