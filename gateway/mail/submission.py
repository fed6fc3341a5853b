"""A message as its author gives it to us: whose it may say it is, and the fields it lacks.

What is added stands before the message, as all that is ours does: the author's octets stay as they came, a
signed part above all.

Source: RFC 6409 §6.1 (may refuse what the author may not say), §8.1 (Sender), §8.2 (Date), §8.3
(Message-ID); RFC 5322 §3.6.
"""

from collections.abc import Collection, Iterator
from datetime import datetime

from gateway.mail import headers, presented
from gateway.mail.address import Address, parse_address
from gateway.mail.addresslist import parse_list
from gateway.mail.reply import Reply, reply

NO_FROM = reply(550, "5.6.0", "The message has no From field, or more than one")  # RFC 5322 §3.6
NOT_YOUR_FROM = reply(550, "5.7.1", "You may not send with that From")
NOT_YOUR_SENDER = reply(550, "5.7.1", "You may not send with that Sender")


def refusal(header: bytes, own: Collection[Address]) -> Reply | None:
    """Why the author may not say this; None: it may. own: the author's addresses, normalised.

    One of several authors in From is enough; whoever is named in Sender has to be the author.
    """
    fields = [field for field in headers.fields(header) if field.name.lower() == "from"]
    if len(fields) != 1:
        return NO_FROM
    if not any(address in own for address in _addresses(fields[0])):
        return NOT_YOUR_FROM
    senders = [field for field in headers.fields(header) if field.name.lower() == "sender"]
    if any(set(_addresses(sender)) - set(own) or not list(_addresses(sender)) for sender in senders):
        return NOT_YOUR_SENDER
    return None


def missing_fields(header: bytes, *, author: Address, message_id: str, at: datetime) -> list[str]:
    """The fields to add, without line breaks. author: who signed in; message_id: `id@host`, without <>."""
    there = {field.name.lower() for field in headers.fields(header)}
    missing = []
    if "date" not in there:
        missing.append(f"Date: {presented.date(at)}")
    if "message-id" not in there:
        missing.append(f"Message-ID: <{message_id}>")
    field = headers.first(header, "from")
    if "sender" not in there and field is not None and len(list(_addresses(field))) > 1:
        missing.append(f"Sender: <{author}>")
    return missing


def _addresses(field: headers.Field) -> Iterator[Address]:
    """Normalised; one that cannot be read is an address of nobody."""
    for found in parse_list(field.value):
        if found.host is None:
            continue  # the beginning or the end of a group
        try:
            yield parse_address(f"{found.mailbox}@{found.host}").normalise()
        except ValueError:
            yield Address(found.mailbox or "", found.host or "unreadable.invalid")
