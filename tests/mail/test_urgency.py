"""How urgent a message says it is (RFC 6758, and ชั้นความเร็ว of official correspondence)."""

import pytest

from gateway.mail.urgency import priority_of

FIELDS = [
    ("MT-Priority: 3\r\n", 3),
    ("mt-priority: (tunnelled) -4\r\n", -4),
    ("MT-Priority: 10\r\n", 0),
    ("MT-Priority: urgent\r\n", 0),
    ("X-Saraban-Urgency: ด่วน\r\n", 2),
    ("X-Saraban-Urgency: ด่วนมาก\r\n", 4),
    ("X-Saraban-Urgency: ด่วนที่สุด\r\n", 6),
    ("X-Saraban-Urgency: =?UTF-8?B?4LiU4LmI4Lin4LiZ4LiX4Li14LmI4Liq4Li44LiU?=\r\n", 6),
    ("X-Saraban-Urgency: Very-Urgent\r\n", 4),
    ("X-Saraban-Urgency: whenever\r\n", 0),
    # RFC 6758 §4: what the priority says counts, whatever else is there.
    ("X-Saraban-Urgency: ด่วนมาก\r\nMT-Priority: 1\r\n", 1),
    ("Importance: high\r\nX-Priority: 1\r\n", 0),
    ("", 0),
]


@pytest.mark.parametrize(("fields", "priority"), FIELDS)
def test_a_message_says_how_urgent_it_is(fields: str, priority: int) -> None:
    assert priority_of(f"From: ann@example.org\r\n{fields}\r\n".encode()) == priority
