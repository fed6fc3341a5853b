"""OpenSMTPD as a peer. Source: smtpd.conf(5)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.peers.peer import (
    CHAIN,
    KEPT,
    KEY,
    MESSAGE_OCTETS_MAX,
    Peer,
    Surroundings,
    free_port,
    furnish,
    running,
)

DOMAIN: Final = "opensmtpd.example"
CONFIGURATION: Final = """
pki peer cert "{chain}"
pki peer key "{key}"
smtp max-message-size "{octets_max}"
table users {{ "later@{domain}" = "{unknown}", "@" = "vmail" }}
listen on 127.0.0.1 port {port} tls pki peer hostname mx.{domain}
action "keep" maildir "{kept}" virtual <users>
action "gateway" relay host "smtp+tls://localhost:{gateway_port}" helo mx.{domain}
match from any for rcpt-to "nobody@{domain}" reject
match from any for domain "{domain}" action "keep"
match from any for any action "gateway"
"""


@contextmanager
def running_opensmtpd(folder: Path, surroundings: Surroundings) -> Iterator[Peer]:
    """OpenSMTPD in `folder`, which is made."""
    peer = Peer(DOMAIN, folder, free_port())
    configuration = CONFIGURATION.format(
        chain=CHAIN,
        key=KEY,
        octets_max=MESSAGE_OCTETS_MAX,
        domain=DOMAIN,
        unknown=surroundings.unknown,
        port=peer.port,
        kept=KEPT,
        gateway_port=surroundings.gateway_port,
    )
    furnish(folder, surroundings, {"/etc/smtpd.conf": configuration})
    (folder / KEY[1:]).chmod(0o600)
    (folder / "var/lib/opensmtpd/empty").mkdir(parents=True)
    with running(peer, surroundings, ("/usr/sbin/smtpd", "-d")) as started:
        yield started
