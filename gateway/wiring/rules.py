"""What edge and router have to see alike."""

from datetime import timedelta

from gateway.domain.quota import QuotaRule
from gateway.settings import Settings
from projections.directory.query import Addressing


def addressing(settings: Settings) -> Addressing:
    """How edge and router read addresses, both alike."""
    return Addressing(settings.hostname, settings.plus_addressing)


def quota_rule(settings: Settings) -> QuotaRule:
    """When edge and router say that a mailbox is full."""
    return QuotaRule(timedelta(hours=settings.quota_grace_h), settings.quota_spares_offices)
