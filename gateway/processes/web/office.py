"""What a request is answered with: the registry in the caller's name, the rows, and what was asked."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeVar

from gateway.domain.events import Actor, By, OperatorAppointed
from gateway.domain.histories import operator_history
from gateway.mail.address import Address, parse_address
from gateway.mail.ids import AgencyId
from gateway.ports import Clock, CodeFlow, Entropy, EventLog, KeyForgotten, KeyStore, Lane, Unavailable
from gateway.processes import maillog
from gateway.processes.registry.counting import count_accounts
from gateway.processes.registry.deciding import Deciding
from gateway.processes.signin.signin import SignIns
from gateway.processes.signin.totp import operator_secret_name, secret_name
from gateway.processes.web.figures import Figures
from gateway.processes.web.problems import malformed, not_here
from gateway.processes.web.rights import Caller, Grant, Right
from gateway.processes.web.tokens import Holder, Tokens
from projections.checkpoint import reached
from projections.directory import query as directory
from projections.directory.project import DirectoryModel
from projections.directory.query import AccountRow
from projections.directory.roles import list_roles
from projections.readmodel import Pool, ReadModel, Rows

# After a change its rows are waited for, so that who asks next sees it; longer than this they are behind.
ROWS_TIMEOUT_S: Final = 5.0
BODY_OCTETS_MAX: Final = 64 * 1024
D = TypeVar("D", bound=Deciding)


@dataclass(frozen=True, slots=True)
class CodeFlows:
    """How people sign in at their agencies' providers. public_url: ours, as their browsers know it."""

    flow: CodeFlow
    public_url: str  # without a slash at its end


@dataclass(frozen=True, slots=True)
class Office:
    """What all requests share. code_flows: None: everybody signs in by password.

    lane: for what needs no decision: bans, passwords, authenticators. figures: how the gateway is.
    """

    log: EventLog
    pool: Pool
    keys: KeyStore
    clock: Clock
    entropy: Entropy
    by: By
    sign_ins: SignIns
    code_flows: CodeFlows | None = None
    trial_days: int = 30  # of an agency whose trial is of no length that was said
    lane: Lane = field(kw_only=True)
    figures: Callable[[], Awaitable[Figures]] = field(kw_only=True)
    mail_ports: Sequence[int] = field(kw_only=True)  # where mail comes to this gateway
    needs_totp: bool = field(default=False, kw_only=True)  # of who has a role

    @property
    def tokens(self) -> Tokens:
        return Tokens(self.keys, self.clock, self.entropy)

    async def operators(self) -> set[str]:
        """The names of those appointed by `saraban init`."""
        events = [recorded.event for recorded in await self.log.history(operator_history())]
        return {event.name for event in events if isinstance(event, OperatorAppointed)}

    async def caller(self, holder: Holder) -> Caller | None:
        """Whose token it is and what it may do now, by the rows; None: nobody who is here any more."""
        if holder.operator:
            if holder.operator not in await self.operators():
                return None
            lacks = await self._lacks_totp(operator_secret_name(holder.operator))
            grants = frozenset({Grant("operator", None)})
            return Caller(Actor("operator", holder.operator), None, grants, lacks)
        assert holder.account_id is not None, holder
        async with self.pool.rows() as rows:
            account = await directory.account_with_id(rows, holder.account_id)
            grants = await grants_of(rows, account) if account else frozenset()
        if account is None or account.status == "closed":
            return None
        lacks = bool(grants) and await self._lacks_totp(secret_name(account.account_id))
        return Caller(Actor("account", account.account_id), account, grants, lacks)

    async def _lacks_totp(self, name: str) -> bool:
        """Whether a role asks for an authenticator that is not there. name: of its secret."""
        if not self.needs_totp:
            return False
        try:
            return not await self.keys.get(name)
        except (KeyError, KeyForgotten):
            return True

    def deciding(self, kind: type[D], actor: Actor) -> D:
        """What decides, in somebody's name."""
        return kind(
            log=self.log,
            keys=self.keys,
            count_accounts=partial(count_accounts, self.log, self.pool),
            clock=self.clock,
            entropy=self.entropy,
            actor=actor,
            by=self.by,
        )

    async def follow(self, model: type[ReadModel] = DirectoryModel) -> bool:
        """Wait a little until the rows know what was just changed; False: they are behind.

        That log or rows are away now is no error of the change, which is made: who was told to try again
        would be refused then.
        """
        try:
            return await reached(self.pool, model, await self.log.last(), ROWS_TIMEOUT_S)
        except Unavailable as error:
            maillog.service_unavailable(service=error.service, reason=error.reason, doing="follow a change")
            return False


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. body, query: as its operation says they are."""

    office: Office
    caller: Caller
    path: Mapping[str, str]
    body: Any
    query: Any
    remote_ip: str = ""

    def registry(self, kind: type[D]) -> D:
        """What decides, in the caller's name."""
        return self.office.deciding(kind, self.caller.actor)

    def agency(self, right: Right, text: str | None = None) -> AgencyId:
        """The agency in the path, or in `text`, if the caller has this right there. Raises Problem."""
        agency_id = AgencyId(self.path["agency_id"] if text is None else text)
        self.caller.check_in(right, agency_id, f"there is no agency {agency_id}")
        return agency_id

    async def account(self, right: Right, address: Address) -> AccountRow:
        """The account an address belongs to, if the caller has this right there. Raises Problem.

        Also when the account is of somebody who may do more than the caller.
        """
        async with self.office.pool.rows() as rows:
            found = await directory.account_of(rows, address)
            grants = await grants_of(rows, found) if found else frozenset()
        if found is None:
            raise not_here(f"{address} is no account here")
        self.caller.check_in(right, found.agency_id, f"{address} is no account here")
        if right != "see":
            self.caller.check_rank(grants, found.agency_id)
        return found

    def own_account(self) -> AccountRow:
        """The caller's own. Raises Problem for an operator without one."""
        if self.caller.account is None:
            raise not_here("you have no account here, so no mailbox either")
        return self.caller.account

    async def agency_of(self, address: Address) -> AgencyId | None:
        """Whose domain it is; None: no agency's."""
        async with self.office.pool.rows() as rows:
            (found,) = await directory.find_recipients(rows, [address])
        return None if isinstance(found, directory.NotOurs) else found.agency_id


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing the API does.

    right: who has it nowhere is not even asked for whom; None: everybody may who has a token. Whether a
    caller has what it takes in the agency it names is for `handle` to check (`Asked.agency`,
    `Asked.account`).
    """

    method: str
    path: str  # below /api/v1, `{name}` for a part that is chosen
    says: str
    handle: Callable[[Asked], Awaitable[Any]]
    answer: Any  # type of what is answered; None: nothing
    body: type[Any] | None = None
    query: type[Any] | None = None
    status: HTTPStatus = HTTPStatus.OK
    right: Right | None = "see"
    octets_max: int = BODY_OCTETS_MAX  # of the body
    media: tuple[str, ...] = ()  # a file is answered, a Response of its own, in one of these


def address_in(text: str) -> Address:
    """An address as a request names it. Raises Problem, 400."""
    try:
        address = parse_address(text)
        address.normalise()
    except ValueError as error:
        raise malformed(f"{text!r} is no mail address: {error}") from error
    return address


async def grants_of(rows: Rows, account: AccountRow) -> frozenset[Grant]:
    held = await list_roles(rows, account_id=account.account_id)
    return frozenset(Grant(row.role, row.agency_id) for row in held)
