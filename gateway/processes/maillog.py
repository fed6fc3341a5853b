"""Every line the gateway logs, one function each: one line per finished thing (style.md §9).

JSON to standard output. What has no field here (content, subject, address, password) cannot be logged.
"""

import contextlib
import logging
import sys
from datetime import datetime
from functools import partial
from typing import Any

import orjson
import structlog

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


def configure(role: str, level: str) -> None:
    """Once per process, before anything is logged. level: debug, info, warning or error."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_octets),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=partial(_Output, sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(role=role)


class _Output(structlog.BytesLogger):
    """A log on a full disk, or one nobody reads any more, costs lines and never a mail."""

    def msg(self, message: bytes) -> None:
        with contextlib.suppress(OSError):
            super().msg(message)

    debug = info = warning = error = msg


def _octets(value: Any, **_: Any) -> bytes:
    return orjson.dumps(value, default=str)


# --- info: something finished -------------------------------------------------------------------


def role_ready(**where: str) -> None:
    _log.info("role_ready", **where)


def role_stopped() -> None:
    _log.info("role_stopped")


def mail_accepted(*, mail_id: str, octets: int, recipients: int, position: int, took_s: float) -> None:
    _log.info(
        "mail_accepted",
        mail_id=mail_id,
        octets=octets,
        recipients=recipients,
        position=position,
        took_s=round(took_s, 4),
    )


def mail_refused(*, code: int, status: str, reason: str) -> None:
    _log.info("mail_refused", code=code, status=status, reason=reason)


def session_ended(*, transactions: int, accepted: int, tls: bool, reason: str, took_s: float) -> None:
    _log.info(
        "session_ended",
        transactions=transactions,
        accepted=accepted,
        tls=tls,
        reason=reason,
        took_s=round(took_s, 3),
    )


def visit_ended(*, listener: str, ended: str, reason: str, tls: bool, took_s: float) -> None:
    """By IMAP or POP3. ended, reason: as in the session's fact, and in words."""
    _log.info("visit_ended", listener=listener, ended=ended, reason=reason, tls=tls, took_s=round(took_s, 3))


def certificates_changed() -> None:
    """New handshakes show what the files hold now."""
    _log.info("certificates_changed")


def mails_decided(*, share: int, up_to: int, mails: int, events: int) -> None:
    _log.info("mails_decided", share=share, up_to=up_to, mails=mails, events=events)


def delivery_concluded(
    *, mail_id: str, recipients: int, attempt: int, code: int, status: str, outcome: str, took_s: float
) -> None:
    _log.info(
        "delivery_concluded",
        mail_id=mail_id,
        recipients=recipients,
        attempt=attempt,
        code=code,
        status=status,
        outcome=outcome,
        took_s=round(took_s, 3),
    )


def pack_written(*, pack: str, contents: int, octets: int) -> None:
    _log.info("pack_written", pack=pack, contents=contents, octets=octets)


def write_ahead_purged(*, below: int) -> None:
    _log.info("write_ahead_purged", below=below)


def rows_retired(*, schema: str, newer: str) -> None:
    """Rows of an older version of a model were dropped; the newer schema has all of them."""
    _log.info("rows_retired", schema=schema, newer=newer)


def orphans_removed(*, objects: int) -> None:
    _log.info("orphans_removed", objects=objects)


def network_banned(*, ban_id: str, until: datetime) -> None:
    """For guessing; which network it is, `saraban ban list` says."""
    _log.info("network_banned", ban_id=ban_id, until=until.isoformat())


def destination_resumed(*, destination: str, suspended_at: datetime) -> None:
    _log.info("destination_resumed", destination=destination, suspended_at=suspended_at.isoformat())


# --- warning: a person should look this week ------------------------------------------------------


def destination_suspended(*, destination: str, why: str, probe_at: datetime) -> None:
    """Connections to it came to nothing, one after the other: nobody tries until it is probed."""
    _log.warning("destination_suspended", destination=destination, why=why, probe_at=probe_at.isoformat())


def service_unavailable(*, service: str, reason: str, doing: str) -> None:
    _log.warning("service_unavailable", service=service, reason=reason, doing=doing)


def route_switched(*, agency_id: str, way: str, for_s: int) -> None:
    _log.warning("route_switched", agency_id=agency_id, way=way, for_s=for_s)


def export_lacks(*, agency_id: str, files: int, messages: int) -> None:
    _log.warning("export_lacks", agency_id=agency_id, files=files, messages=messages)


def sts_policy_unusable(*, domain: str, failure: str, reason: str) -> None:
    _log.warning("sts_policy_unusable", domain=domain, failure=failure, reason=reason)


def position_passed_over(*, consumer: str, position: int) -> None:
    _log.warning("position_passed_over", consumer=consumer, position=position)


def possible_double(*, mail_id: str, recipients: int) -> None:
    _log.warning("possible_double", mail_id=mail_id, recipients=recipients)


def certificates_unusable(*, reason: str) -> None:
    """Changed files of certificates; those loaded before are shown on. Once until they can be used again."""
    _log.warning("certificates_unusable", reason=reason)


def proxy_header_missing(*, listener: str, proxy: str, reason: str) -> None:
    """A connection from one of `proxy_networks`, closed because it does not say for whom it is."""
    _log.warning("proxy_header_missing", listener=listener, proxy=proxy, reason=reason)


def command_put_off(*, command: str, reason: str) -> None:
    """A mailbox command that could not be obeyed now; its client was told to try again."""
    _log.warning("command_put_off", command=command, reason=reason)


# --- error: a person should look now --------------------------------------------------------------


def session_failed(error: BaseException) -> None:
    """A mistake of ours in one session; the peer got 421 and nothing was half accepted."""
    _log.error("session_failed", exc_info=error)


def poison_event(*, consumer: str, position: int, topic: str, reason: str) -> None:
    """The consumer stops here until `saraban log hold POSITION` sets the event aside, or it is mended."""
    _log.error("poison_event", consumer=consumer, position=position, topic=topic, reason=reason)


def content_unreadable(*, reason: str) -> None:
    """A message that somebody wants to read is not there, or not what it was; `reason` names the mail."""
    _log.error("content_unreadable", reason=reason)
