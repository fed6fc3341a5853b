"""How long a ban is, and what network an operator may ban."""

from datetime import timedelta

import pytest

from gateway.domain.bans import ban_for, network_to_ban

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def test_a_ban_doubles_up_to_the_longest() -> None:
    assert [ban_for(former, HOUR, DAY) / HOUR for former in range(7)] == [1, 2, 4, 8, 16, 24, 24]
    assert ban_for(10_000, HOUR, DAY) == DAY


@pytest.mark.parametrize(
    ("written", "network"),
    [
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),  # mapped: as its packets come
    ],
)
def test_a_network_is_read_as_operators_write_it(written: str, network: str) -> None:
    assert str(network_to_ban(written)) == network


@pytest.mark.parametrize(
    "written",
    ["", "opm.go.th", "192.0.2.7/24", "192.0.2.0/33", "0.0.0.0/0", "192.0.0.0/7", "::/0", "๑๙๒.0.2.1"],
)
def test_what_is_no_network_or_half_the_world_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match=r"is no network such as|is too wide"):
        network_to_ban(written)
