"""Which command may come when: the states of an SMTP session, and what leads from one to the next.

Source: RFC 5321 §4.1.4 (order of commands), RFC 3030 §2 (BDAT), RFC 3207 §4.2 (STARTTLS begins
anew), RFC 4954 §4 (AUTH).
"""

from enum import Enum, auto

from gateway.mail.reply import PeerError
from gateway.protocols.smtp import replies
from gateway.protocols.smtp.commands import Auth, Bdat, Command, Data, Ehlo, Helo, Mail, Rcpt, StartTls


class State(Enum):
    CONNECTED = auto()
    GREETED = auto()
    SENDER = auto()
    RECIPIENTS = auto()
    CONTENT = auto()  # after DATA
    CHUNKS = auto()  # after a BDAT that was not the last


# RFC 5321 §4.1.4, the whole rule: which command may come when, and where its "yes" leads. What is not
# here is refused with 503; RSET, NOOP, HELP, VRFY and QUIT may come at any time.
ON_YES: dict[tuple[State, type[Command]], State] = {
    (State.CONNECTED, Ehlo): State.GREETED,
    (State.CONNECTED, Helo): State.GREETED,
    (State.GREETED, Ehlo): State.GREETED,
    (State.GREETED, Helo): State.GREETED,
    (State.GREETED, StartTls): State.CONNECTED,
    (State.GREETED, Auth): State.GREETED,
    (State.GREETED, Mail): State.SENDER,
    (State.SENDER, Ehlo): State.GREETED,
    (State.SENDER, Helo): State.GREETED,
    (State.SENDER, Rcpt): State.RECIPIENTS,
    (State.RECIPIENTS, Ehlo): State.GREETED,
    (State.RECIPIENTS, Helo): State.GREETED,
    (State.RECIPIENTS, Rcpt): State.RECIPIENTS,
    (State.RECIPIENTS, Data): State.CONTENT,
    (State.RECIPIENTS, Bdat): State.CHUNKS,
    (State.CHUNKS, Bdat): State.CHUNKS,
    (State.CHUNKS, Ehlo): State.GREETED,
    (State.CHUNKS, Helo): State.GREETED,
}


class Order:
    """Where a session is in it."""

    def __init__(self) -> None:
        self.state = State.CONNECTED

    def after(self, command: Command) -> State | None:
        """Where the "yes" to a command leads; None: it may not come now."""
        return ON_YES.get((self.state, type(command)))

    def on_yes(self, command: Command) -> State:
        """The same. Raises PeerError when it may not come now."""
        state = self.after(command)
        if state is None:
            raise PeerError(replies.BAD_SEQUENCE, "bad sequence of commands")
        return state
