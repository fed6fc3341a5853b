"""ENVELOPE and BODYSTRUCTURE of a summary.

A summary has decoded text. A client that takes UTF-8 gets it as it is, another gets encoded words, and
extended parameters (RFC 2231).

Source: RFC 9051 §7.5.2, RFC 3501 §7.4.2; RFC 6855 §3 (UTF-8).
"""

from gateway.mail.addresslist import HeaderAddress
from gateway.mail.headers import Parameters
from gateway.mail.summary import Envelope, PartSummary
from gateway.protocols.imap.rendering import NIL, parameter, quoted, words


def envelope(of: Envelope, *, is_utf8: bool) -> str:
    from_ = _addresses(of.from_, is_utf8)
    sender = from_ if of.sender == of.from_ else _addresses(of.sender, is_utf8)
    reply_to = from_ if of.reply_to == of.from_ else _addresses(of.reply_to, is_utf8)
    fields = (
        _text(of.date, is_utf8),
        _text(of.subject, is_utf8),
        from_,
        sender,
        reply_to,
        _addresses(of.to, is_utf8),
        _addresses(of.cc, is_utf8),
        _addresses(of.bcc, is_utf8),
        _text(of.in_reply_to, is_utf8),
        _text(of.message_id, is_utf8),
    )
    return f"({' '.join(fields)})"


def body(part: PartSummary, *, is_extensible: bool, is_utf8: bool) -> str:
    """BODYSTRUCTURE, or BODY when it is not extensible."""
    if part.type == "multipart" and part.parts:
        inside = "".join(body(one, is_extensible=is_extensible, is_utf8=is_utf8) for one in part.parts)
        shown = f"{inside} {quoted(words(part.subtype))}"
        extension = f" {_parameters(part.parameters, is_utf8)} {_disposition(part, is_utf8)}"
    else:
        shown = _single(part, is_extensible, is_utf8)
        extension = f" {NIL} {_disposition(part, is_utf8)}"  # NIL: no MD5
    return f"({shown}{extension if is_extensible else ''})"


def _single(part: PartSummary, is_extensible: bool, is_utf8: bool) -> str:
    type_, subtype, has_message = part.type, part.subtype, bool(part.envelope and part.parts)
    # A summary that was cut may lack the parts without which there is no such type (RFC 9051 §7.5.2).
    if type_ == "multipart":
        type_, subtype = "text", "plain"
    elif type_ == "message" and subtype in ("rfc822", "global") and not has_message:
        type_, subtype = "application", "octet-stream"
    fields = [
        quoted(words(type_)),
        quoted(words(subtype)),
        _parameters(part.parameters, is_utf8),
        _text(part.id, is_utf8),
        _text(part.description, is_utf8),
        quoted(words(part.encoding)),
        str(part.octets),
    ]
    if has_message and part.envelope is not None:
        inner = body(part.parts[0], is_extensible=is_extensible, is_utf8=is_utf8)
        fields += [envelope(part.envelope, is_utf8=is_utf8), inner, str(part.lines)]
    elif type_ == "text":
        fields.append(str(part.lines))
    return " ".join(fields)


def _disposition(part: PartSummary, is_utf8: bool) -> str:
    """Disposition, language and location."""
    disposition = NIL
    if part.disposition is not None:
        parameters = _parameters(part.disposition_parameters, is_utf8)
        disposition = f"({quoted(words(part.disposition))} {parameters})"
    languages = " ".join(quoted(words(one)) for one in part.language)
    return f"{disposition} {f'({languages})' if languages else NIL} {_text(part.location, is_utf8)}"


def _parameters(found: Parameters, is_utf8: bool) -> str:
    return f"({' '.join(parameter(*one, is_utf8=is_utf8) for one in found)})" if found else NIL


def _addresses(found: tuple[HeaderAddress, ...], is_utf8: bool) -> str:
    return f"({''.join([_address(one, is_utf8) for one in found])})" if found else NIL


def _address(one: HeaderAddress, is_utf8: bool) -> str:
    """Name, route (which nobody writes any more), mailbox, host."""
    return f"({_text(one.name, is_utf8)} NIL {_text(one.mailbox, is_utf8)} {_text(one.host, is_utf8)})"


def _text(text: str | None, is_utf8: bool) -> str:
    if text is None:
        return NIL
    return quoted(text if is_utf8 else words(text))
