"""Mail addresses: what RFC 5321 calls a Mailbox, a local part at a domain or an address literal.

Source: RFC 5321 §4.1.2 (syntax), §4.1.3 (address literals), §4.5.3.1 (sizes); RFC 6531 §3.3
(internationalised addresses); RFC 5890 and 5891 (A-labels, U-labels), UTS 46 (mapping of input).
"""

import re
import unicodedata
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import idna

# RFC 5321 §4.5.3.1.1 to §4.5.3.1.3. A path counts its "<" and ">". Counted in octets of UTF-8.
LOCAL_PART_OCTETS_MAX = 64
DOMAIN_OCTETS_MAX = 255
PATH_OCTETS_MAX = 256

# RFC 5321 §4.1.2: Dot-string = Atom *("." Atom); atext from RFC 5322 §3.2.3. RFC 6531 §3.3 adds all
# of UTF8-non-ascii, of which _check_characters refuses what nobody can write or see.
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]"
_DOT_STRING = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
# RFC 5321 §4.1.2: Quoted-string = DQUOTE *QcontentSMTP DQUOTE.
_QUOTED_STRING = re.compile(r'"((?:[ !#-\[\]-~\u0080-\U0010ffff]|\\[ -~])*)"')
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
# RFC 5321 §4.1.2: sub-domain = Let-dig [Ldh-str]. RFC 1035 §2.3.4: 63 octets at most.
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
# The usual address, told apart in one step.
_PLAIN = re.compile(rf"([A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]+)@({_DOMAIN.pattern})")


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox address. The local part is what it means, without quoting; the domain is as written."""

    local_part: str  # 1..64 octets, never quoted: "a b" is held as a b
    domain: str  # 1..255 octets: A-labels, U-labels or an address literal in brackets

    def __post_init__(self) -> None:
        assert self.domain, "an address has a domain"

    @property
    def is_ascii(self) -> bool:
        """False when the address, as it stands, needs SMTPUTF8 (RFC 6531 §3.2)."""
        return self.local_part.isascii() and self.domain.isascii()

    def normalise(self) -> "Address":
        """The one form that all spellings of the address share: for equality and look-up, not for show.

        The domain is in lower case A-labels; the local part in Unicode's canonical caseless form
        (our directory is case-insensitive, RFC 5321 §2.4 leaves that to the final host).
        """
        local_part = self.local_part
        if local_part.isascii():
            local_part = local_part.lower()
        else:
            decomposed = unicodedata.normalize("NFD", local_part)
            local_part = unicodedata.normalize("NFC", decomposed.casefold())
        return Address(local_part, normalise_domain(self.domain))

    def with_ascii_domain(self) -> "Address":
        """The same address with its domain in A-labels, for hosts without SMTPUTF8."""
        return self if self.domain.isascii() else Address(self.local_part, normalise_domain(self.domain))

    def __str__(self) -> str:
        """The address in RFC 5321 form, its local part quoted where it must be."""
        local_part = self.local_part
        if _DOT_STRING.fullmatch(local_part) is None:
            escaped = local_part.replace("\\", "\\\\").replace('"', '\\"')
            local_part = f'"{escaped}"'
        return f"{local_part}@{self.domain}"


def parse_address(text: str) -> Address:
    """Read an address in RFC 5321 form, with the characters RFC 6531 adds.

    Raises ValueError, with the reason in words that do not repeat the text.
    """
    plain = _PLAIN.fullmatch(text)
    if plain is not None and ".." not in plain[1] and plain[1][0] != "." and plain[1][-1] != ".":
        address = Address(plain[1], plain[2])
    else:
        local_part, domain = _split(text)
        address = Address(local_part, _checked_domain(domain))
    _check_sizes(address)
    return address


def normalise_domain(domain: str) -> str:
    """The lower case A-label form of a domain; of an address literal, its shortest form.

    Raises ValueError when the text is no domain. An A-label is taken as it is, whatever it decodes to.
    """
    if domain.startswith("["):
        return _literal(domain)
    if len(domain) > DOMAIN_OCTETS_MAX:
        raise ValueError(f"the domain is longer than {DOMAIN_OCTETS_MAX} octets")
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True, std3_rules=True, transitional=False).decode("ascii")
        except (idna.IDNAError, UnicodeError) as error:
            raise ValueError("the domain is not a name of IDNA 2008") from error
    if _DOMAIN.fullmatch(domain) is None:
        raise ValueError("the domain is not made of letters, digits and hyphens between dots")
    return domain.lower()


def shown_domain(domain: str) -> str:
    """A domain as people read it: in U-labels, where its A-labels stand for some (RFC 5891 §5)."""
    try:
        return idna.decode(domain)
    except (idna.IDNAError, UnicodeError):
        return domain


def _split(text: str) -> tuple[str, str]:
    """Local part (unquoted) and domain (unchecked)."""
    quoted = _QUOTED_STRING.match(text)
    if quoted is not None:
        local_part, end = _QUOTED_PAIR.sub(r"\1", quoted[1]), quoted.end()
        if not local_part:
            raise ValueError("the local part is empty")
    else:
        dots = _DOT_STRING.match(text)
        if dots is None:
            raise ValueError("the local part is empty or has a character that must be quoted")
        local_part, end = dots[0], dots.end()
    if text[end : end + 1] != "@":
        raise ValueError("there is no @ after the local part")
    _check_characters(local_part)
    return local_part, text[end + 1 :]


def _check_characters(local_part: str) -> None:
    """Refuse controls, separators, surrogates and what Unicode has not assigned; ASCII passed the grammar."""
    for character in local_part:
        if not character.isascii() and unicodedata.category(character) in {
            "Cc", "Cs", "Cn", "Co", "Zl", "Zp", "Zs",
        }:  # fmt: skip
            raise ValueError("the local part has a control, space or unassigned character")


def _checked_domain(domain: str) -> str:
    normalise_domain(domain)
    return domain


def _literal(text: str) -> str:
    """An address literal in its shortest form (RFC 5321 §4.1.3; no tag but IPv6 is registered)."""
    inside = text[1:-1]
    try:
        if not text.endswith("]"):
            raise AddressValueError
        if inside[:5].lower() == "ipv6:":
            if "%" in inside:
                raise AddressValueError
            return f"[IPv6:{IPv6Address(inside[5:]).compressed}]"
        return f"[{IPv4Address(inside)}]"
    except AddressValueError:
        raise ValueError("the address literal is neither IPv4 nor IPv6") from None


def _check_sizes(address: Address) -> None:
    local_part = len(address.local_part.encode())
    domain = len(address.domain.encode())
    if local_part > LOCAL_PART_OCTETS_MAX:
        raise ValueError(f"the local part is longer than {LOCAL_PART_OCTETS_MAX} octets")
    if domain > DOMAIN_OCTETS_MAX:
        raise ValueError(f"the domain is longer than {DOMAIN_OCTETS_MAX} octets")
    if len(str(address).encode()) + 2 > PATH_OCTETS_MAX:
        raise ValueError(f"the address is longer than {PATH_OCTETS_MAX - 2} octets")
