"""`saraban send`: a first mail, by the same SMTP as everybody else's."""

import mimetypes
import smtplib
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import formatdate, make_msgid
from pathlib import Path

import click

from gateway.cli.desk import ADDRESS
from gateway.cli.output import fail, say
from gateway.mail.address import Address
from gateway.settings import Settings, split_address


class OneLine(click.ParamType[str]):
    """Text of one line: a line break would begin a header field of its own."""

    name = "text"

    def convert(self, value: object, parameter: click.Parameter | None, context: click.Context | None) -> str:
        text = str(value)
        if len(text.splitlines()) > 1 or text.endswith(("\r", "\n")):
            self.fail("it has more than one line", parameter, context)
        return text


@click.command()
@click.option("--from", "mail_from", required=True, type=ADDRESS, help="The sender.")
@click.option(
    "--to", "rcpt_to", required=True, multiple=True, type=ADDRESS, help="A recipient; repeat for more."
)
@click.option("--subject", default="", type=OneLine(), help="The subject, in any language.")
@click.option("--text", default="", help="The text of the message.")
@click.option(
    "--attach",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file to attach; repeat for more.",
)
@click.pass_obj
def send(
    settings: Settings,
    mail_from: Address,
    rcpt_to: tuple[Address, ...],
    subject: str,
    text: str,
    attach: tuple[Path, ...],
) -> None:
    """Send a mail through the running gateway and print its mail id.

    Example: saraban send --from somchai@opm.go.th --to malee@opdc.go.th --subject 'ขอเชิญประชุม' --text เก้าโมง
    """
    if not settings.listen_smtp:
        fail("this gateway takes no mail: SARABAN_LISTEN_SMTP is empty")
    message = _compose(mail_from, rcpt_to, subject, text, attach)
    host, port = split_address(settings.listen_smtp)
    try:
        with _Client(host, port, timeout=600) as client:
            addresses = [str(mail_from), *map(str, rcpt_to)]
            # Not send_message: it writes ">From" for a line of the text that begins with "From".
            is_ascii = all(address.isascii() for address in addresses)
            octets = message.as_bytes(policy=SMTP if is_ascii else SMTPUTF8)
            options = [] if octets.isascii() and is_ascii else ["BODY=8BITMIME"]
            options += [] if is_ascii else ["SMTPUTF8"]
            client.ehlo()
            refused = client.sendmail(addresses[0], addresses[1:], octets, options)
            mail_id = client.last_reply
    except smtplib.SMTPRecipientsRefused as error:
        fail(
            "no recipient was accepted: " + "; ".join(f"{a}: {_said(r)}" for a, r in error.recipients.items())
        )
    except smtplib.SMTPResponseException as error:
        fail(f"the gateway refused the mail: {_said((error.smtp_code, error.smtp_error))}")
    except (OSError, smtplib.SMTPException) as error:
        fail(f"no gateway answered at {settings.listen_smtp}: {error}")
    say(
        f"accepted as {mail_id}" + "".join(f"\nrefused {a}: {_said(r)}" for a, r in refused.items()),
        mail_id=mail_id,
        refused={address: _said(answer) for address, answer in refused.items()},
    )


class _Client(smtplib.SMTP):
    """smtplib, that remembers what was said to the message: `2.0.0 <mail_id>`."""

    last_reply = ""

    def data(self, msg: object) -> tuple[int, bytes]:
        code, text = super().data(msg)  # type: ignore[arg-type]  # typeshed names fewer types than smtplib takes
        self.last_reply = text.decode("ascii", "replace").rpartition(" ")[2]
        return code, text


def _compose(
    mail_from: Address, rcpt_to: tuple[Address, ...], subject: str, text: str, attach: tuple[Path, ...]
) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = str(mail_from), ", ".join(map(str, rcpt_to))
    message["Subject"] = subject
    message["Date"] = formatdate(localtime=True)
    message["Message-ID"] = make_msgid(domain=mail_from.with_ascii_domain().domain)
    message.set_content(text)
    for file in attach:
        maintype, subtype = _kind_of(file).split("/", 1)
        message.add_attachment(file.read_bytes(), maintype=maintype, subtype=subtype, filename=file.name)
    return message


def _kind_of(file: Path) -> str:
    """The media type of a file that goes as it is; a message in base64 may not be one (RFC 2046 §5.2.1)."""
    kind, packed_by = mimetypes.guess_type(file.name)
    if kind is None or packed_by is not None or kind.startswith(("message/", "multipart/")):
        return "application/octet-stream"
    return kind


def _said(answer: tuple[int, bytes | str]) -> str:
    code, text = answer
    return f"{code} {text.decode('utf-8', 'replace') if isinstance(text, bytes) else text}"
