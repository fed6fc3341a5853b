"""Who tried to sign in to one account, and whether it was let in: of the traffic log, newest first."""

from dataclasses import dataclass
from datetime import date, datetime

from gateway.mail.ids import AccountId
from gateway.ports import Position
from projections.readmodel import Rows, schema_of
from projections.trace.project import TraceModel

_SCHEMA = schema_of(TraceModel)


@dataclass(frozen=True, slots=True)
class SignInRow:
    """outcome: "accepted", or why not (`domain.signin.Refusal`). remote_ip: blank when erased."""

    day: date  # UTC
    position: Position
    at: datetime
    protocol: str  # smtp, imap, pop3, web
    mechanism: str
    app_password: str  # what its owner calls the one it was made with
    remote_ip: str
    outcome: str


async def sign_ins_of(
    rows: Rows, account_id: AccountId, *, before: tuple[date, Position] | None = None, limit: int = 50
) -> list[SignInRow]:
    """As far back as the traffic log is kept. before: day and position of the last of the page before."""
    day, position = before or (date.max, 2**62)
    found = await rows.fetch(
        f"""SELECT day, position, at, listener, mechanism, app_password, remote_ip, outcome
        FROM {_SCHEMA}.traffic
        WHERE kind = 'sign-in' AND account_id = $1 AND day <= $2 AND (day < $2 OR position < $3)
        ORDER BY day DESC, position DESC LIMIT $4""",
        account_id,
        day,
        position,
        limit,
    )
    return [SignInRow(*row.values()) for row in found]
