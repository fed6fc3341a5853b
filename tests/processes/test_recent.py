"""An answer holds for its time, and the oldest makes room."""

from gateway.processes.recent import Recent
from tests.processes.world import MovedClock


async def test_an_answer_holds_for_its_time_and_is_then_asked_for_again() -> None:
    clock = MovedClock()
    recent = Recent[str, int](clock, holds_s=5.0, known_max=10)
    assert recent.get("ann") is None
    recent.keep("ann", 0)
    await clock.sleep(4.9)
    assert recent.get("ann") == 0
    await clock.sleep(0.1)
    assert recent.get("ann") is None
    recent.keep("ann", 1)
    assert recent.get("ann") == 1


def test_the_answer_kept_longest_ago_makes_room() -> None:
    recent = Recent[str, int](MovedClock(), holds_s=5.0, known_max=2)
    for key in ("ann", "bob", "ann", "cid"):
        recent.keep(key, 1)
    assert [key for key in ("ann", "bob", "cid") if recent.get(key)] == ["ann", "cid"]
