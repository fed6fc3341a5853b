"""Coverage-guided fuzzing of the SMTP server core: whatever comes, the answer is replies and nothing else.

`./just fuzz smtp 600` runs for ten minutes; what breaks it is written to var/fuzz, to be made a dialog. The
first octet chooses where the session stands, the rest is what the client sends.
"""

import re
import sys
from typing import Final

import atheris

with atheris.instrument_imports(include=["gateway.protocols", "gateway.mail"]):
    from gateway.protocols.sasl.mechanisms import offered
    from gateway.protocols.smtp.config import SessionConfig
    from tests.dialogs.smtp_shell import Shell

# RFC 5321 §4.2: what a server says is lines of a code, a separator and text, each ended by CRLF.
REPLIES: Final = re.compile(rb"(?:[2-5][0-9]{2}(?:-[^\r\n]*\r\n[2-5][0-9]{2})*(?: [^\r\n]*)?\r\n)*")
BINDING: Final = b"binding"
CONFIGS: Final = (
    SessionConfig("mx.example", message_octets_max=1_000, recipients_max=3, line_octets_max=200),
    SessionConfig("mx.example", message_octets_max=1_000, offers_starttls=True),
    SessionConfig(
        "mx.example",
        message_octets_max=1_000,
        is_tls=True,
        mechanisms=offered(BINDING),
        needs_sign_in=True,
        hold_s_max=3600,
    ),
)
PREFIXES: Final = (
    b"",
    b"EHLO client.example\r\n",
    b"EHLO client.example\r\nMAIL FROM:<ann@example.net>\r\nRCPT TO:<bob@example.org>\r\n",
    b"EHLO client.example\r\nMAIL FROM:<ann@example.net>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n",
    b"EHLO client.example\r\nAUTH PLAIN AHN1ZGFAZXhhbXBsZS5vcmcAcmlnaHQ=\r\n",
    b"EHLO client.example\r\nAUTH LOGIN\r\n",
)


def one(octets: bytes) -> None:
    """Any octets, in two splits: the same well-formed replies."""
    if not octets:
        return
    config = CONFIGS[octets[0] % len(CONFIGS)]
    sent = PREFIXES[octets[0] // len(CONFIGS) % len(PREFIXES)] + octets[1:]
    whole, split = Shell(config, channel_binding=BINDING), Shell(config, channel_binding=BINDING)
    whole.feed(sent)
    for at in range(0, len(sent), 7):
        if split.close is None:
            split.feed(sent[at : at + 7])
    assert REPLIES.fullmatch(whole.sent), whole.sent
    assert (whole.sent, whole.kept, whole.close) == (split.sent, split.kept, split.close)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
