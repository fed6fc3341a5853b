"""What the edge may say yes to fits into an event."""

import msgspec

from gateway.domain import sealing
from gateway.domain.codec import EVENT_OCTETS_MAX, encode
from gateway.domain.events import EnvelopeSecret, MailAccepted, Recipient
from gateway.mail.ids import AgencyId
from gateway.mail.summary import SUMMARY_OCTETS_MAX
from gateway.protocols.smtp.config import SessionConfig
from tests.domain.samples import TEXTS, most

FRONT_OCTETS = 1_000


def test_the_largest_envelope_the_edge_takes_fits_into_its_event() -> None:
    config = SessionConfig("mx.example", message_octets_max=0)
    each = config.envelope_octets_max // config.recipients_max
    addresses = ("a" * each,) * config.recipients_max
    agency_id = AgencyId(TEXTS["agency_id"])
    asked = EnvelopeSecret("b" * 256, addresses, "c" * 255, "d" * 45, envid="e" * 100)
    told = EnvelopeSecret("b" * 256, addresses, "c" * 255, "d" * 45)
    accepted = most(MailAccepted)
    assert isinstance(accepted, MailAccepted)
    recipients = tuple(
        Recipient(n, agency_id, "SUCCESS,FAILURE,DELAY", "2020-03-01T09:00:00Z;C")
        for n in range(config.recipients_max)
    )
    message = msgspec.structs.replace(accepted.message, sealed=b"s" * (SUMMARY_OCTETS_MAX + FRONT_OCTETS))
    largest = msgspec.structs.replace(
        accepted, recipients=recipients, message=message, sealed=sealed(asked), traffic=sealed(told)
    )
    assert len(encode(largest)) < EVENT_OCTETS_MAX


def sealed(secret: EnvelopeSecret) -> bytes:
    return sealing.seal(secret, b"k" * 32, nonce=b"n" * 12, label="envelope")
