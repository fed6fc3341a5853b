"""The auditor's entry: the library's own repository, notification log and subscriptions over the live log."""

from typing import Any, ClassVar

from eventsourcing.application import Application
from eventsourcing.persistence import Mapper, StoredEvent

from gateway.domain import codec
from gateway.domain.aggregate import AggregateEvent


class EventMapper(Mapper[str]):
    """Our events in the library's hands: the octets and topics are those of gateway.domain.codec."""

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        assert isinstance(domain_event, AggregateEvent), domain_event
        return StoredEvent(
            domain_event.originator_id,
            domain_event.originator_version,
            domain_event.TOPIC,
            codec.encode(domain_event),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        return codec.decode(stored_event.topic, stored_event.state)


class AuditLog(Application[str]):
    """Read-only. `repository.get("ag_…")`, `events.get("mail.07")`, `notification_log.select(1, 100)`."""

    name = "audit"
    env: ClassVar[dict[str, str]] = {
        "MAPPER_TOPIC": "gateway.adapters.jetstream.audit:EventMapper",
        "PERSISTENCE_MODULE": "gateway.adapters.jetstream",
        "ORIGINATOR_ID_TYPE": "text",
    }
    log_section_size = 1000

    def save(self, *objs: Any, **kwargs: Any) -> Any:
        raise PermissionError("an auditor reads the log and writes nothing")
