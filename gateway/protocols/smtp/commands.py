"""SMTP commands as values, read from their lines.

Source: RFC 5321 §4.1.1 (commands), RFC 1870 (SIZE), RFC 6152 (BODY), RFC 6531 §3.4 (SMTPUTF8), RFC 3030
(CHUNKING), RFC 3207, RFC 3461 (DSN), RFC 4954 (AUTH), RFC 7293 (RRVS);
what is demanded of its way, in demanding.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from gateway.mail.address import Address
from gateway.mail.demands import NO_DEMANDS, Demands
from gateway.mail.dsn_options import Ret
from gateway.mail.envelope import Body
from gateway.mail.reply import PeerError, Reply
from gateway.protocols.smtp import demanding, grammar, replies
from gateway.protocols.smtp import parameters as dsn


@dataclass(frozen=True, slots=True)
class Ehlo:
    client: str


@dataclass(frozen=True, slots=True)
class Helo:
    client: str


@dataclass(frozen=True, slots=True)
class Mail:
    mail_from: Address | None
    path_octets: int
    octets: int | None  # SIZE
    body: Body | None
    is_smtputf8: bool
    ret: Ret | None = None
    envid: str = ""
    has_auth: bool = False  # RFC 4954 §5: who is said to have submitted it, which we believe nobody
    demands: Demands = NO_DEMANDS

    @property
    def is_extended(self) -> bool:
        """True when a parameter was given, which needs EHLO (RFC 5321 §4.1.1.2)."""
        has_dsn = self.ret is not None or bool(self.envid)
        has_more = self.is_smtputf8 or has_dsn or self.has_auth or self.demands != NO_DEMANDS
        return self.octets is not None or self.body is not None or has_more


@dataclass(frozen=True, slots=True)
class Rcpt:
    rcpt_to: Address
    path_octets: int
    notify: str = ""
    orcpt: str = ""
    rrvs: str = ""  # RFC 7293

    @property
    def is_extended(self) -> bool:
        """True when a parameter was given, as in MAIL."""
        return bool(self.notify or self.orcpt or self.rrvs)

    @property
    def envelope_octets(self) -> int:
        """What it adds to the envelope."""
        return self.path_octets + len(self.orcpt.encode())


@dataclass(frozen=True, slots=True)
class Data:
    pass


@dataclass(frozen=True, slots=True)
class Bdat:
    """octets: of the chunk that follows; None: it cannot be told where the chunk ends."""

    octets: int | None
    is_last: bool


@dataclass(frozen=True, slots=True)
class Rset:
    pass


@dataclass(frozen=True, slots=True)
class Noop:
    pass


@dataclass(frozen=True, slots=True)
class Help:
    pass


@dataclass(frozen=True, slots=True)
class Vrfy:
    pass


@dataclass(frozen=True, slots=True)
class Quit:
    pass


@dataclass(frozen=True, slots=True)
class StartTls:
    pass


@dataclass(frozen=True, slots=True)
class Auth:
    """initial: the first response in base64, as it came; None: there was none."""

    mechanism: str  # in upper case
    initial: bytes | None


@dataclass(frozen=True, slots=True)
class Foreign:
    """The first word of another protocol, as a browser that was talked into it would send."""


Command = (
    Ehlo | Helo | Mail | Rcpt | Data | Bdat | Rset | Noop | Help | Vrfy | Quit | StartTls | Auth | Foreign
)

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
# RFC 5321 §4.1.1.1 wants a domain or address literal; hosts send their bare names, also with underscores.
_CLIENT = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")
_CHUNK = re.compile(r"([0-9]{1,20})( LAST)?", re.ASCII | re.IGNORECASE)  # RFC 3030 §2
_BODIES = frozenset(body.value for body in Body)
_MECHANISM = re.compile(r"[A-Za-z0-9_-]{1,20}", re.ASCII)  # RFC 4422 §3.1
_SIZE = re.compile(r"[0-9]{1,20}", re.ASCII)  # RFC 1870 §3


def parse_command(line: bytes, hostname: str) -> Command:
    """Read a command line without its CRLF. hostname: ours, where "Postmaster" lives.

    Raises PeerError with the reply that the line deserves.
    """
    if _CONTROL.search(line) is not None:
        raise PeerError(replies.NOT_PRINTABLE, "control octet in a command")
    try:
        text = line.decode().rstrip(" ")  # RFC 5321 §4.1.1: trailing white space is tolerated
    except UnicodeDecodeError:
        raise PeerError(replies.NOT_PRINTABLE, "command is not UTF-8") from None
    verb, _, arguments = text.partition(" ")
    verb = grammar.capitals(verb)
    read = _READERS.get(verb)
    if read is not None:
        return read(arguments, hostname)
    if verb in _NOT_IMPLEMENTED:
        raise PeerError(replies.NOT_IMPLEMENTED, "command not implemented")
    raise PeerError(replies.UNRECOGNISED, "command unrecognised")


def _mail(arguments: str, hostname: str) -> Mail:
    path, parameters = _path(arguments, "FROM:", replies.BAD_SENDER)
    octets: int | None = None
    body: Body | None = None
    for keyword, value in parameters.items():
        match keyword, value:
            case "SIZE", str() if _SIZE.fullmatch(value):
                octets = int(value)
            case "SIZE", _:
                raise PeerError(replies.BAD_ARGUMENTS, "SIZE is not a number")
            case "BODY", str() if (written := grammar.capitals(value)) in _BODIES:
                body = Body(written)
            case "SMTPUTF8", None:
                pass
            case "AUTH", str() if grammar.is_xtext(value):
                pass
            case "AUTH", _:
                raise PeerError(replies.BAD_ARGUMENTS, "AUTH is no xtext")
            case _ if keyword in dsn.MAIL_KEYWORDS | demanding.KEYWORDS:
                pass
            case _:
                raise PeerError(replies.UNKNOWN_PARAMETER, "unknown MAIL parameter")
    ret, envid = dsn.read_mail(parameters)
    demands = demanding.read(parameters)
    try:
        mail_from = grammar.parse_reverse_path(path)
    except ValueError as error:
        raise PeerError(replies.BAD_SENDER, f"sender: {error}") from None
    is_smtputf8, has_auth = "SMTPUTF8" in parameters, "AUTH" in parameters
    return Mail(mail_from, len(path.encode()), octets, body, is_smtputf8, ret, envid, has_auth, demands)


def _rcpt(arguments: str, hostname: str) -> Rcpt:
    path, parameters = _path(arguments, "TO:", replies.BAD_RECIPIENT)
    notify, orcpt, rrvs = dsn.read_rcpt(parameters)
    try:
        rcpt_to = grammar.parse_forward_path(path, hostname)
    except ValueError as error:
        raise PeerError(replies.BAD_RECIPIENT, f"recipient: {error}") from None
    return Rcpt(rcpt_to, len(path.encode()), notify, orcpt, rrvs)


def _bdat(arguments: str, hostname: str) -> Bdat:
    read = _CHUNK.fullmatch(arguments)
    return Bdat(int(read[1]), read[2] is not None) if read else Bdat(None, False)


def _auth(arguments: str, hostname: str) -> Auth:
    mechanism, space, initial = arguments.partition(" ")
    if _MECHANISM.fullmatch(mechanism) is None or " " in initial or (space and not initial):
        raise PeerError(replies.BAD_ARGUMENTS, "AUTH without a mechanism, or with too much")
    return Auth(mechanism.upper(), initial.encode() if space else None)


def _path(arguments: str, keyword: str, bad_path: Reply) -> tuple[str, dict[str, str | None]]:
    """The path after FROM: or TO:, and the parameters."""
    if grammar.capitals(arguments[: len(keyword)]) != keyword:
        raise PeerError(replies.BAD_ARGUMENTS, f"no {keyword}")
    try:
        path, parameters = grammar.parse_path(arguments[len(keyword) :])
    except ValueError as error:
        raise PeerError(bad_path, str(error)) from None
    if not parameters:
        return path, {}
    try:
        return path, grammar.parse_parameters(parameters)
    except ValueError as error:
        raise PeerError(replies.BAD_ARGUMENTS, str(error)) from None


def _client(arguments: str) -> str:
    if _CLIENT.fullmatch(arguments) is None:
        raise PeerError(replies.BAD_ARGUMENTS, "the client did not name itself")
    return arguments


def _alone(command: Command) -> Callable[[str, str], Command]:
    """A reader of a command that takes no arguments (RFC 5321 §4.1.1: 501 when it has some)."""

    def read(arguments: str, hostname: str) -> Command:
        if arguments:
            raise PeerError(replies.BAD_ARGUMENTS, "argument to a command without any")
        return command

    return read


def _any(command: Command) -> Callable[[str, str], Command]:
    """A reader of a command whose arguments do not matter."""
    return lambda arguments, hostname: command


_READERS: dict[str, Callable[[str, str], Command]] = {
    "EHLO": lambda arguments, hostname: Ehlo(_client(arguments)),
    "HELO": lambda arguments, hostname: Helo(_client(arguments)),
    "MAIL": _mail,
    "RCPT": _rcpt,
    "DATA": _alone(Data()),
    "BDAT": _bdat,
    "RSET": _alone(Rset()),
    "NOOP": _any(Noop()),
    "HELP": _any(Help()),
    "VRFY": _any(Vrfy()),
    "QUIT": _alone(Quit()),
    "STARTTLS": _alone(StartTls()),
    "AUTH": _auth,
    "GET": _any(Foreign()),
    "POST": _any(Foreign()),
    "PUT": _any(Foreign()),
    "CONNECT": _any(Foreign()),
}
# RFC 5321 §4.2.4: known, but not implemented. (SEND, SOML, SAML and TURN: appendix F.)
_NOT_IMPLEMENTED = frozenset({"EXPN", "ETRN", "ATRN", "SEND", "SOML", "SAML", "TURN"})
