"""What `./just soak` runs is there: a test that moves takes its row in the acceptance list along."""

import pytest

from tests.soak.__main__ import ACCEPTANCE, BENCH, ROOT

TARGETS = [target for rows in ACCEPTANCE.values() for _, target in rows]


@pytest.mark.parametrize("target", sorted(set(TARGETS)))
def test_a_target_is_there_once(target: str) -> None:
    assert (ROOT / target.partition(" ")[0]).exists()
    assert target.startswith(BENCH) == (" " in target)
    assert all([each for _, each in rows].count(target) <= 1 for rows in ACCEPTANCE.values())
