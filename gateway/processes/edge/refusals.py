"""Is the recipient still whom the sender means? A no is a fact of the log before the client hears it.

Source: RFC 7293 §5.1, §9; architecture §4 (`ev.access`).
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final

from gateway.domain.events import Actor, By, Fact, Stamp
from gateway.domain.refusals import REFUSALS, RecipientRefused, RefusalSecret
from gateway.domain.signin import access_history
from gateway.mail.networks import network_of
from gateway.mail.reply import Reply
from gateway.mail.valid_since import OWNER_CHANGED, parse_valid_since, refusal
from gateway.ports import Clock, Entropy, KeyStore, Lane, Unavailable
from gateway.processes import maillog
from gateway.processes.edge.recipients import CANNOT_ANSWER, Checked
from gateway.processes.traffic_seal import TrafficSeal
from gateway.protocols.smtp.effects import CheckRecipient

# Of one network; what is more has no event of its own, and the next event has its number (architecture §4).
RECORDED_PER_MINUTE: Final = 60
NETWORKS_MAX: Final = 10_000


@dataclass
class _Minute:
    began_s: float
    recorded: int = 0
    unrecorded: int = 0


class Refusals:
    """For all sessions of one edge."""

    def __init__(self, *, keys: KeyStore, lane: Lane, clock: Clock, entropy: Entropy, by: By) -> None:
        self._lane, self._clock, self._by = lane, clock, by
        self._seal = TrafficSeal(keys, entropy)
        self._minutes: OrderedDict[str, _Minute] = OrderedDict()

    async def check(self, asked: CheckRecipient, checked: Checked, remote_ip: str) -> Checked:
        """The same answer, or a no when the address is not (known to be) of whom the sender means.

        451 when the log cannot take it. Raises Deposed.
        """
        if not checked.verdict.is_success:
            return checked
        said = refusal(asked.rcpt_to, asked.rrvs, checked.owner)
        if said is None:
            return checked
        try:
            await self._record(asked, checked, said, remote_ip)
        except Unavailable as error:
            maillog.service_unavailable(service=error.service, reason=error.reason, doing="rcpt")
            said = CANNOT_ANSWER
        return replace(checked, verdict=said, agency_id=None)

    async def _record(self, asked: CheckRecipient, checked: Checked, said: Reply, remote_ip: str) -> None:
        assert checked.agency_id is not None, asked
        assert checked.owner is not None, asked
        minute = self._minute(network_of(remote_ip))
        if minute.recorded >= RECORDED_PER_MINUTE:
            minute.unrecorded += 1
            return
        at = self._clock.now()
        mail_from = None if asked.mail_from is None else str(asked.mail_from)
        secret = RefusalSecret(mail_from, str(asked.rcpt_to), remote_ip, asked.helo)
        sealed, key_name = await self._seal.seal(secret, checked.agency_id, at, label=REFUSALS)
        unrecorded, minute.unrecorded = minute.unrecorded, 0
        minute.recorded += 1
        event = RecipientRefused(
            **Stamp(at=at, actor=Actor("remote"), by=self._by).fields(),
            agency_id=checked.agency_id,
            reason="owner-changed" if said is OWNER_CHANGED else "owner-unknown",
            code=said.code,
            status=str(said.status),
            valid_since=parse_valid_since(asked.rrvs).at,
            owner_since=checked.owner.since,
            sealed=sealed,
            sealed_key=key_name,
            unrecorded=unrecorded,
        )
        await self._lane.append([Fact(access_history(checked.agency_id), event)])

    def _minute(self, network: str) -> _Minute:
        now_s = self._clock.monotonic()
        minute = self._minutes.pop(network, None) or _Minute(now_s)
        if now_s - minute.began_s >= 60:
            minute = _Minute(now_s, unrecorded=minute.unrecorded)
        self._minutes[network] = minute
        if len(self._minutes) > NETWORKS_MAX:
            self._minutes.popitem(last=False)
        return minute
