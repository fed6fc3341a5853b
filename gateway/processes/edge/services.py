"""What all connections of an edge share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gateway.domain.quota import QuotaRule
from gateway.ports import Clock, Spool
from gateway.processes.edge.acceptance import Acceptance
from gateway.processes.edge.outward import Outward
from gateway.processes.edge.rates import RateLimits, Rates
from gateway.processes.edge.recipients import Recipients
from gateway.processes.edge.refusals import Refusals
from gateway.processes.listening.certificates import ShownCertificates
from gateway.processes.listening.sessions import Sessions
from gateway.processes.signin.bans import Bans
from gateway.processes.signin.signin import SignIns

QUOTA: Final = QuotaRule()


@dataclass(frozen=True, slots=True)
class EdgeServices:
    """Put together in wiring; None and 0 are edges that lack something, as the tests start them."""

    acceptance: Acceptance
    recipients: Recipients
    refusals: Refusals
    clock: Clock
    new_spool: Callable[[], Spool]
    idle_timeout_s: float
    tls: ShownCertificates | None
    has_space: Callable[[], bool] = lambda: True  # False: no mail is begun (RFC 5321 §4.2.3, 452)
    sign_ins: SignIns | None = None  # None: nobody signs in
    quota: QuotaRule = QUOTA
    sessions: Sessions | None = None  # None: sessions leave no facts
    rates: Rates = field(default_factory=lambda: Rates(RateLimits()))
    session_max_s: float = 0.0  # 0: it may last
    bans: Bans | None = None  # None: nobody is banned
    people_send_out: bool = True  # False: who signed in sends to agencies alone
    outward: Outward | None = None  # None: agencies' servers send to agencies alone
