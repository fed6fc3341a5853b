"""THREAD: which messages answer which, and how a response says it.

The shell makes a Threadable of each message that its search has found, in the order of their numbers; ids and
references come from the header (`message_ids`), where the envelope has no References.

Source: RFC 5256 §2.1 (base subject), §3 (ORDEREDSUBJECT, REFERENCES), §4 (THREAD response).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from gateway.mail.collation import folded
from gateway.mail.subject import base_subject

# Of one message: the newest. Precedent: mail readers cut the field at about 1,000 octets (RFC 5537 §3.4.4).
REFERENCES_MAX: Final = 100
DEPTH_MAX: Final = 1_000  # of a thread; what would lie deeper begins one of its own

_ID: Final = re.compile(r"<([^<>\s]{1,998})>")


@dataclass(frozen=True, slots=True)
class Threadable:
    """number: what the response tells, a message number or UID. references: oldest first, of In-Reply-To the
    first alone (RFC 5256 §3). sent_at: or internal date."""

    number: int
    sent_at: datetime
    subject: str
    message_id: str = ""
    references: tuple[str, ...] = ()


@dataclass(eq=False, slots=True)
class Node:
    """A message and its answers; without a message: one that is not here, or never was."""

    message: Threadable | None = None
    children: "list[Node]" = field(default_factory=list)
    parent: "Node | None" = None

    @property
    def first(self) -> Threadable:
        """Its message, or that of its first child: what it is sorted and named by."""
        node = self
        while node.message is None:
            node = node.children[0]
        return node.message


def message_ids(value: str) -> tuple[str, ...]:
    """The ids in a field, without their brackets; the newest of a long one."""
    return tuple(dict.fromkeys(_ID.findall(value)))[-REFERENCES_MAX:]


def by_algorithm(algorithm: str, messages: Sequence[Threadable]) -> list[Node]:
    return by_subject(messages) if algorithm == "ORDEREDSUBJECT" else by_references(messages)


def response(roots: Iterable[Node]) -> bytes:
    """RFC 5256 §4: `* THREAD (2)(3 6 (4 23)(44 7 96))`."""
    said = "".join(piece for root in roots for piece in _said(root))
    return f"* THREAD{' ' if said else ''}{said}\r\n".encode()


def _said(root: Node) -> Iterator[str]:
    """Without recursion: threads may be deep."""
    waiting: list[Node | str] = [")", root, "("]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
            continue
        if one.message is not None:
            yield str(one.message.number)
        if len(one.children) == 1 and one.message is not None:
            waiting += [one.children[0], " "]
        elif one.children:
            for child in reversed(one.children):
                waiting += [")", child, "("]
            if one.message is not None:
                waiting.append(" ")


# --- ORDEREDSUBJECT -------------------------------------------------------------------------------


def by_subject(messages: Sequence[Threadable]) -> list[Node]:
    """All of one base subject are answers to the first of them."""
    threads: dict[str, list[Threadable]] = {}
    for message in sorted(messages, key=lambda one: one.sent_at):
        threads.setdefault(folded(base_subject(message.subject).text), []).append(message)
    return [Node(first, [Node(one) for one in rest]) for first, *rest in threads.values()]


# --- REFERENCES -----------------------------------------------------------------------------------


def by_references(messages: Sequence[Threadable]) -> list[Node]:
    """The steps are those of RFC 5256 §3, REFERENCES."""
    roots = _pruned(_linked(messages))  # (1) to (3)
    for root in roots:
        if root.message is None:
            root.children.sort(key=_sent)
    roots.sort(key=_sent)  # (4)
    roots = _gathered(roots)  # (5)
    for node in _leaves_first(roots):  # (6)
        node.children.sort(key=_sent)
    roots.sort(key=_sent)
    return roots


def _linked(messages: Sequence[Threadable]) -> list[Node]:
    """(1) Messages and those they refer to, tied together; (2) those that answer none."""
    nodes: dict[str, Node] = {}
    alone: list[Node] = []
    for message in messages:
        node = nodes.get(message.message_id)
        if not message.message_id or (node is not None and node.message is not None):
            node = Node(message)  # no id, or one that another has already: it is a message of its own
            alone.append(node)
        else:
            node = nodes.setdefault(message.message_id, Node())
            node.message = message
        parent: Node | None = None
        for reference in message.references:
            child = nodes.setdefault(reference, Node())
            if parent is not None and child.parent is None:
                _tie(parent, child)
            parent = child
        if parent is None or node.parent is not parent:  # what others said of it counts less
            node.parent = None
        if parent is not None and node.parent is None:
            _tie(parent, node)
    every = [*nodes.values(), *alone]
    for node in every:
        if node.parent is not None:
            node.parent.children.append(node)
    return [node for node in every if node.parent is None]


def _tie(parent: Node, child: Node) -> None:
    """Unless that would be a circle, or too deep. Children are told of it when all is tied."""
    above: Node | None = parent
    for _ in range(DEPTH_MAX):
        if above is child:
            return
        if above is None:
            child.parent = parent
            return
        above = above.parent


def _pruned(roots: list[Node]) -> list[Node]:
    """(3) Without nodes that are no message, but at the top for those that hold several together."""
    for node in _leaves_first(roots):
        kept: list[Node] = []
        for child in node.children:
            kept += [child] if child.message is not None else child.children
        node.children = kept
    found: list[Node] = []
    for root in roots:
        if root.message is None and len(root.children) == 1:
            found.append(root.children[0])
        elif root.message is not None or root.children:
            found.append(root)
    return found


def _gathered(roots: list[Node]) -> list[Node]:
    """(5) Threads of one subject as one."""
    subjects = {id(root): base_subject(root.first.subject) for root in roots}
    texts = {id(root): folded(subjects[id(root)].text) for root in roots}
    table: dict[str, Node] = {}
    for root in roots:
        held = table.get(texts[id(root)])
        is_better = held is not None and (
            (root.message is None and held.message is not None)
            or (subjects[id(held)].is_reply and not subjects[id(root)].is_reply and held.message is not None)
        )
        if held is None or is_better:
            table[texts[id(root)]] = root
    table.pop("", None)
    gathered: dict[int, Node] = {}  # what the node of a subject has become
    for root in roots:
        held = table.get(texts[id(root)])
        if held is None or held is root:
            continue
        into = gathered.get(id(held), held)
        if into.message is None and root.message is None:
            into.children += root.children
        elif into.message is None or (subjects[id(root)].is_reply and not subjects[id(held)].is_reply):
            into.children.append(root)
        else:
            gathered[id(held)] = Node(None, [into, root])
    return [gathered.get(id(root), root) for root in roots if table.get(texts[id(root)], root) is root]


def _sent(node: Node) -> tuple[datetime, int]:
    return node.first.sent_at, node.first.number


def _leaves_first(roots: list[Node]) -> list[Node]:
    """Every node, none before those below it."""
    order: list[Node] = []
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        order.append(node)
        waiting += node.children
    return order[::-1]
