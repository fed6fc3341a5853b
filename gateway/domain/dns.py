"""What the DNS says of a name, as values.

Source: RFC 1035 §3.3 (records), RFC 6698 §2.1 (TLSA), RFC 4035 §3.2.3 and RFC 6840 §5.8 (the AD bit).
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Mx:
    """RFC 1035 §3.3.9. host: in small A-labels without the last dot; "." is the null MX (RFC 7505)."""

    preference: int  # 0..65535, the lower first
    host: str


@dataclass(frozen=True, slots=True)
class Tlsa:
    """RFC 6698 §2.1, its fields as they come; who asks judges whether they are usable."""

    usage: int
    selector: int
    matching_type: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Answer(Generic[R]):
    """What there is of one type at a name. That nobody can say is no answer (`Unavailable`).

    name: where the records are, after all CNAMEs. exists: False when the name has nothing of any type
    (NXDOMAIN). is_authenticated: DNSSEC vouches for it, also for there being nothing.
    """

    name: str
    records: tuple[R, ...]  # in no order
    exists: bool = True
    is_authenticated: bool = False
