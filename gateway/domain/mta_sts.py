"""MTA-STS: what a domain says of TLS at its mail hosts, and which hosts it means.

Source: RFC 8461 §3.1 (record), §3.2 (policy), §3.3 (its host), §4.1 (which hosts match).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

Mode = Literal["enforce", "testing", "none"]

MAX_AGE_S_MAX: Final = 31_557_600  # §3.2: about a year
POLICY_OCTETS_MAX: Final = 64 * 1024  # §3.2
MEDIA_TYPE: Final = "text/plain"  # §3.2
POLICY_PATH: Final = "/.well-known/mta-sts.txt"  # §3.3

# §3.1: sts-text-record. Records that do not begin so are of something else, and not looked at.
_VERSION: Final = b"v=STSv1;"
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}"
_RECORD_FIELD: Final = re.compile(rf"({_NAME})=([\x21-\x3a\x3c\x3e-\x7e]+)")
_ID: Final = re.compile(r"[A-Za-z0-9]{1,32}")
# §3.2: sts-policy-record, line by line.
_POLICY_FIELD: Final = re.compile(
    rf"({_NAME}):[ \t]*([^\x00-\x20\x7f](?:[^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?)"
)
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_MX: Final = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """A domain's word. mx: A-labels in small letters; "*." stands for one label."""

    mode: Mode
    max_age_s: int  # 0..MAX_AGE_S_MAX, from when it was fetched
    mx: tuple[str, ...]

    def allows(self, host: str) -> bool:
        """True when a mail host is one of those the domain means (§4.1)."""
        name = host.lower().rstrip(".")
        return any(_matches(pattern, name) for pattern in self.mx)


def _matches(pattern: str, name: str) -> bool:
    if not pattern.startswith("*."):
        return name == pattern
    label, _, rest = name.partition(".")
    return bool(label) and rest == pattern[2:]


def record_name(domain: str) -> str:
    """Where a domain's record is (§3.1). domain: A-labels."""
    return f"_mta-sts.{domain}"


def policy_host(domain: str) -> str:
    """The host that has a domain's policy (§3.3)."""
    return f"mta-sts.{domain}"


def parse_record(texts: Sequence[bytes]) -> str | None:
    """The id of a domain's policy; None: the domain has none.

    texts: the TXT records at `record_name`, the strings of each joined. More than one that is of MTA-STS, or
    one that is not as it has to be, is no policy (§3.1).
    """
    records = [text for text in texts if text.startswith(_VERSION)]
    if len(records) != 1:
        return None
    fields = [field.strip(" \t") for field in records[0][len(_VERSION) :].decode("latin-1").split(";")]
    if fields[-1] == "":
        fields.pop()  # the last may be followed by a semicolon
    found = [_RECORD_FIELD.fullmatch(field) for field in fields]
    if not all(found):
        return None
    identifier = next((field[2] for field in found if field and field[1] == "id"), "")
    return identifier if _ID.fullmatch(identifier) else None


def parse_policy(octets: bytes) -> StsPolicy:
    """Read a policy (§3.2). What is not known is passed over, and all but the first of what may be once.

    Raises ValueError: a sentence that says what is wrong.
    """
    if len(octets) > POLICY_OCTETS_MAX:
        raise ValueError(f"the policy has more than {POLICY_OCTETS_MAX} octets")
    once: dict[str, str] = {}
    mx: list[str] = []
    for line in re.split(r"\r?\n", octets.decode()):  # UnicodeDecodeError is a ValueError
        if not line.strip(" \t"):
            continue
        field = _POLICY_FIELD.fullmatch(line.rstrip(" \t"))
        if field is None:
            raise ValueError(f"a line of the policy is no `name: value`: {line[:80]!r}")
        name, value = field.groups()
        if name == "mx":
            mx.append(_mx(value))
        else:
            once.setdefault(name, value)
    return _policy(once, tuple(mx))


def _mx(value: str) -> str:
    name = value.lower().rstrip(".")
    if not _MX.fullmatch(name) or len(name) > 253:
        raise ValueError(f"the policy names {value[:80]!r}, which is no host")
    return name


def _policy(once: dict[str, str], mx: tuple[str, ...]) -> StsPolicy:
    if once.get("version") != "STSv1":
        raise ValueError("the policy is not of version STSv1")
    mode = once.get("mode", "")
    if mode not in get_args(Mode):
        raise ValueError("the policy's mode is none of enforce, testing and none")
    age = once.get("max_age", "")
    if not re.fullmatch("[0-9]{1,10}", age) or int(age) > MAX_AGE_S_MAX:
        raise ValueError(f"the policy's max_age is not from 0 to {MAX_AGE_S_MAX} seconds")
    if not mx and mode != "none":
        raise ValueError("the policy names no host")
    return StsPolicy(cast(Mode, mode), int(age), mx)
