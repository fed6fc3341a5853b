"""Which messages answer which: RFC 5256 §3 and §4."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.protocols.imap.threads import (
    DEPTH_MAX,
    Node,
    Threadable,
    by_algorithm,
    by_references,
    by_subject,
    message_ids,
    response,
)

START = datetime(2026, 2, 1, tzinfo=UTC)


def message(number: int, references: str = "", subject: str = "", id_: str = "", day: int = 0) -> Threadable:
    """Its id is its number, and it was sent on that day."""
    sent_at = START + timedelta(days=day or number)
    return Threadable(number, sent_at, subject, id_ or str(number), tuple(references.split()))


def told(nodes: list[Node]) -> str:
    return response(nodes).decode().removeprefix("* THREAD").strip()


def test_a_response_is_written_as_the_rfc_shows_it() -> None:
    """RFC 5256 §4: 2 alone; 3 with 6, which 4 and 44 answer; two answers to one that is not here."""

    def node(number: int, *children: Node) -> Node:
        return Node(message(number), list(children))

    tree = node(3, node(6, node(4, node(23)), node(44, node(7, node(96)))))
    assert response([node(2), tree]) == b"* THREAD (2)(3 6 (4 23)(44 7 96))\r\n"
    assert response([Node(None, [node(3), node(5)])]) == b"* THREAD ((3)(5))\r\n"
    assert response([]) == b"* THREAD\r\n"


REFERENCES: list[tuple[list[Threadable], str]] = [
    ([], ""),
    ([message(1), message(2)], "(1)(2)"),
    ([message(1), message(2, "1"), message(3, "1 2")], "(1 2 3)"),
    ([message(1), message(2, "1"), message(3, "1")], "(1 (2)(3))"),
    # Answers come before what they answer, in any order.
    ([message(1, "3"), message(2, "3 1"), message(3)], "(3 1 2)"),
    # Nobody has the message that both answer.
    ([message(1, "x"), message(2, "x")], "((1)(2))"),
    # One answer to it alone.
    ([message(1, "x"), message(2)], "(1)(2)"),
    # What is missing in the middle is left out.
    ([message(1), message(2, "1 x")], "(1 2)"),
    # Siblings by the time they were sent.
    ([message(1), message(2, "1", day=9), message(3, "1", day=5)], "(1 (3)(2))"),
    # Two with one id.
    ([message(1), message(2, id_="1"), message(3, "1")], "(1 3)(2)"),
    # A circle.
    ([message(1, "2"), message(2, "1")], "(2 1)"),
    ([message(1, "1")], "(1)"),
    # Its own references count more than what another has said of it.
    ([message(1), message(2), message(4, "1 3"), message(3, "2")], "(1)(2 3 4)"),
    # Subjects: an answer without references.
    ([message(1, subject="a"), message(2, subject="Re: a")], "(1 2)"),
    ([message(1, subject="Re: a"), message(2, subject="a")], "(2 1)"),
    ([message(1, subject="Re: a"), message(2, subject="Re: a")], "((1)(2))"),
    ([message(1, subject="a"), message(2, subject="a"), message(3, subject="Re: a")], "((1)(2)(3))"),
    # Subject of a thread whose first message is not here.
    ([message(1, "x", "a"), message(2, "x", "b"), message(3, subject="Re: a")], "((1)(2)(3))"),
    (
        [message(1, "x", "a"), message(2, "x", "a"), message(3, "y", "a"), message(4, "y", "a")],
        "((1)(2)(3)(4))",
    ),
    # No subject at all ties nothing together.
    ([message(1, subject="Re:"), message(2, subject="Re:")], "(1)(2)"),
]


@pytest.mark.parametrize(("messages", "tree"), REFERENCES)
def test_references_make_threads(messages: list[Threadable], tree: str) -> None:
    assert told(by_references(messages)) == told(by_algorithm("REFERENCES", messages)) == tree


SUBJECTS: list[tuple[list[Threadable], str]] = [
    ([], ""),
    ([message(1, subject="a"), message(2, subject="b"), message(3, subject="Re: A")], "(1 3)(2)"),
    (
        [message(1, subject="a", day=9), message(2, subject="a"), message(3, subject="a", day=8)],
        "(2 (3)(1))",
    ),
]


@pytest.mark.parametrize(("messages", "tree"), SUBJECTS)
def test_subjects_make_threads(messages: list[Threadable], tree: str) -> None:
    """RFC 5256 §3: "there are no grandchildren"."""
    assert told(by_subject(messages)) == told(by_algorithm("ORDEREDSUBJECT", messages)) == tree


MESSAGES = st.lists(
    st.builds(
        message,
        st.integers(1, 9),
        st.lists(st.sampled_from("123456789xy"), max_size=4).map(" ".join),
        st.sampled_from(["", "a", "Re: a", "b"]),
        day=st.integers(1, 4),
    ),
    max_size=9,
    unique_by=lambda one: one.number,
)


def numbers(nodes: list[Node]) -> list[int]:
    return [
        *(node.message.number for node in nodes if node.message is not None),
        *(number for node in nodes for number in numbers(node.children)),
    ]


@settings(max_examples=300)
@given(MESSAGES, st.sampled_from(["REFERENCES", "ORDEREDSUBJECT"]))
def test_every_message_is_told_once(messages: list[Threadable], algorithm: str) -> None:
    nodes = by_algorithm(algorithm, messages)
    assert sorted(numbers(nodes)) == sorted(one.number for one in messages)
    for root in nodes:
        assert root.message is not None or len(root.children) > 1
        assert all(child.message is not None for child in root.children)


def test_a_thread_may_be_deep_but_not_endless() -> None:
    count = 2 * DEPTH_MAX
    deep = by_references([message(n, str(n - 1) if n > 1 else "") for n in range(1, count)])
    said = told(deep)
    assert said.startswith("(1 2 3 ")
    assert said.replace(")(", " ").strip("()").split() == [str(n) for n in range(1, count)]


def test_ids_stand_between_angles() -> None:
    assert message_ids("<a@x>\r\n <b@x><c@x> junk <a b> <a@x> <>") == ("a@x", "b@x", "c@x")
