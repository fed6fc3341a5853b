"""What a client gets when its command cannot be understood.

The session sends `response` under the tag of the command and goes on, or closes when it says BYE
(RFC 9051 §7.1.5). Texts are constant: nothing a peer sent comes back to it.

Source: RFC 9051 §7.1 (status responses), RFC 5530 (response codes).
"""

from typing import ClassVar, Final, Literal

Kind = Literal["OK", "NO", "BAD", "BYE", "PREAUTH"]
UNTAGGED: Final = "*"


class ImapError(Exception):
    """The peer broke its protocol. Carries the response it gets, so no caller invents one.

    tag: of the command, UNTAGGED when none could be read. code: as between the brackets, "" for none.
    """

    kind: ClassVar[Kind] = "BAD"

    def __init__(self, tag: str, text: str, code: str = "") -> None:
        super().__init__(text)
        self.tag, self.text, self.code = tag, text, code

    @property
    def response(self) -> bytes:
        """The whole line."""
        code = f"[{self.code}] " if self.code else ""
        return f"{self.tag} {self.kind} {code}{self.text}\r\n".encode()


class BadCommand(ImapError):
    """It is no command of the grammar (RFC 9051 §7.1.3)."""


class CannotObey(ImapError):
    """It is one, and asks for what this server never does (RFC 9051 §7.1.2)."""

    kind = "NO"
