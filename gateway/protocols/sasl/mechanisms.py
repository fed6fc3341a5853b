"""Which mechanisms there are, by the names they are offered under."""

from collections.abc import Callable
from functools import partial
from typing import Final

from gateway.protocols.sasl.bearer import Bearer
from gateway.protocols.sasl.exchange import Exchange
from gateway.protocols.sasl.plain import Login, Plain
from gateway.protocols.sasl.scram import Scram

# In the order they are offered; each takes our side of the channel binding, None when there is none.
_MECHANISMS: Final[dict[str, Callable[[bytes | None], Exchange]]] = {
    "PLAIN": lambda binding: Plain(),
    "LOGIN": lambda binding: Login(),
    "SCRAM-SHA-256": Scram,
    "SCRAM-SHA-256-PLUS": partial(Scram, is_plus=True),
    "OAUTHBEARER": lambda binding: Bearer(),
    "XOAUTH2": lambda binding: Bearer(is_xoauth2=True),
}


EVERY: Final = tuple(_MECHANISMS)


def offered(binding: bytes | None) -> tuple[str, ...]:
    """The names to offer. binding: `tls-server-end-point` of our certificate; None: it has none."""
    return tuple(name for name in _MECHANISMS if binding is not None or not name.endswith("-PLUS"))


def begin(name: str, binding: bytes | None) -> Exchange:
    """Begin an exchange of an offered mechanism."""
    return _MECHANISMS[name](binding)
