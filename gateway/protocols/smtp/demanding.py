"""The parameters of MAIL by which a sender demands something of the way of its mail: read, written, refused.

Source: RFC 2852 §4 (DELIVERBY), RFC 6710 §3 and §4 (MT-PRIORITY), RFC 8689 §2 to §5 (REQUIRETLS),
RFC 4865 §3 to §5 (FUTURERELEASE).
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from gateway.mail.date_time import date_time, parse_date_time
from gateway.mail.demands import DeliverBy, DeliverByMode, Demands
from gateway.mail.reply import PeerError, Reply, reply
from gateway.mail.urgency import parse_priority
from gateway.protocols.smtp import replies
from gateway.protocols.smtp.offers import Offers

KEYWORDS: Final = frozenset({"BY", "MT-PRIORITY", "REQUIRETLS", "HOLDFOR", "HOLDUNTIL"})

# RFC 2852 §3: the least time in which a mail that is to be returned may be expected to have gone: the first
# attempt and the one after it.
DELIVER_BY_MIN_S: Final = 120
TOO_SOON: Final = reply(555, "5.5.4", "The mail cannot be promised by that time")

# RFC 6710 §4, RFC 3463 X.3.6: the text begins with the priority it has instead.
OTHER_PRIORITY: Final = reply(250, "2.3.6", "0 is the priority of mail from hosts that did not sign in")

TLS_NEEDED: Final = reply(530, "5.7.10", "REQUIRETLS wants TLS from the start")  # RFC 8689 §4.2
# RFC 8689 §5: not verified, or not willing to go on likewise.
NO_REQUIRETLS: Final = reply(554, "5.7.30", "The host does not keep a mail inside TLS")

TOO_LONG: Final = reply(501, "5.5.4", "A mail is not held so long")  # RFC 4865 §4

CANNOT_PROMISE: Final = reply(554, "5.3.3", "The host does not promise to deliver by a time")
EXPIRED: Final = reply(554, "5.4.7", "The time by which the mail was to be delivered is over")

_MODES: Final[Mapping[str, DeliverByMode]] = {"R": "R", "N": "N", "RT": "RT", "NT": "NT"}
_HOLD_FOR = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)  # RFC 4865 §4
_BY = re.compile(r"([+-]?[0-9]{1,9});([RN]T?)", re.ASCII | re.IGNORECASE)  # RFC 2852 §4


def offered(*, is_tls: bool, held_until: datetime | None = None, hold_s_max: int = 0) -> list[str]:
    """What the answer to EHLO says of them. is_tls: RFC 8689 §2, REQUIRETLS is offered inside TLS alone.

    held_until: the last moment a mail may ask to be held to; None: it may not (RFC 4865 §3).
    """
    hold = [] if held_until is None else [f"FUTURERELEASE {hold_s_max} {date_time(held_until)}"]
    return [f"DELIVERBY {DELIVER_BY_MIN_S}", "MT-PRIORITY", *(["REQUIRETLS"] if is_tls else []), *hold]


def read(parameters: Mapping[str, str | None]) -> Demands:
    """Raises PeerError on bad syntax."""
    try:
        deliver_by = _read_by(parameters["BY"] or "") if "BY" in parameters else None
        priority = parse_priority(parameters["MT-PRIORITY"] or "") if "MT-PRIORITY" in parameters else None
        if parameters.get("REQUIRETLS") is not None:
            raise ValueError("REQUIRETLS has no value")
        hold_for_s, hold_until = _read_hold(parameters)
    except ValueError as error:
        raise PeerError(replies.BAD_ARGUMENTS, str(error)) from None
    return Demands(deliver_by, priority, "REQUIRETLS" in parameters, hold_for_s, hold_until)


def granted(demands: Demands, *, is_signed_in: bool) -> Demands:
    """RFC 6710 §4: how urgent its mail is, a stranger may only say to its own disadvantage."""
    if demands.priority is None or demands.priority <= 0 or is_signed_in:
        return demands
    return replace(demands, priority=0)


def refusal(
    demands: Demands, *, is_tls: bool, held_until: datetime | None = None, hold_s_max: int = 0
) -> Reply | None:
    """Why we do not take on what is demanded; None: we do. held_until, hold_s_max: as in `offered`."""
    if demands.hold_for_s or demands.hold_until is not None:
        if held_until is None:
            return replies.UNKNOWN_PARAMETER
        if demands.hold_for_s > hold_s_max or (demands.hold_until or held_until) > held_until:
            return TOO_LONG
    if demands.requires_tls and not is_tls:
        return TLS_NEEDED
    deliver_by = demands.deliver_by
    if deliver_by is not None and deliver_by.returns and deliver_by.seconds < DELIVER_BY_MIN_S:
        return TOO_SOON
    return None


def refusal_for(demands: Demands, offers: Offers) -> Reply | None:
    """Why a mail is not sent to a host, for good; None: it is."""
    if demands.requires_tls and not offers.has_requiretls:
        return NO_REQUIRETLS
    deliver_by = demands.deliver_by
    if deliver_by is not None and deliver_by.returns:
        if not offers.has_deliver_by:
            return CANNOT_PROMISE
        if deliver_by.seconds < max(1, offers.deliver_by_min_s):
            return EXPIRED
    return None


def written(demands: Demands, offers: Offers) -> str:
    """What is passed on to a host, each parameter with a space before it."""
    deliver_by, parameters = demands.deliver_by, ""
    if deliver_by is not None and offers.has_deliver_by:
        parameters += f" BY={deliver_by.seconds};{deliver_by.mode}"
    if demands.priority is not None and offers.has_priority:
        parameters += f" MT-PRIORITY={demands.priority}"
    if demands.requires_tls and offers.has_requiretls:
        parameters += " REQUIRETLS"
    return parameters


def _read_hold(parameters: Mapping[str, str | None]) -> tuple[int, datetime | None]:
    if "HOLDFOR" in parameters and "HOLDUNTIL" in parameters:
        raise ValueError("a mail is held for a time or until one")
    if "HOLDFOR" in parameters:
        seconds = parameters["HOLDFOR"] or ""
        if _HOLD_FOR.fullmatch(seconds) is None:
            raise ValueError("HOLDFOR is seconds")
        return int(seconds), None
    if "HOLDUNTIL" in parameters:
        return 0, parse_date_time(parameters["HOLDUNTIL"] or "")
    return 0, None


def _read_by(value: str) -> DeliverBy:
    found = _BY.fullmatch(value)
    if found is None:
        raise ValueError("BY is seconds, a semicolon, and R or N, perhaps with T")
    deliver_by = DeliverBy(int(found[1]), _MODES[found[2].upper()])
    if deliver_by.returns and deliver_by.seconds <= 0:
        raise ValueError("a mail cannot be returned at a time that has passed")
    return deliver_by
