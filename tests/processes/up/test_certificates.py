"""The self-made certificates: clients that trust the authority accept the server; renewal keeps keys."""

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from gateway.processes.up.certificates import self_made

NOW = datetime.now(UTC)


def handshake(authority: Path, chain: Path, key: Path, name: str) -> str | None:
    """A TLS handshake in memory; the version both agreed on."""
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(chain, key)
    theirs = ssl.create_default_context(cafile=str(authority))
    theirs.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = ours.wrap_bio(to_server, to_client, server_side=True)
    client = theirs.wrap_bio(to_client, to_server, server_hostname=name)
    for _ in range(5):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return client.version()


@pytest.mark.parametrize("name", ["mail.saraban.example", "localhost", "127.0.0.1", "::1"])
def test_a_client_that_trusts_the_authority_accepts_the_server(tmp_path: Path, name: str) -> None:
    made = self_made(tmp_path, tmp_path, "mail.saraban.example", NOW)
    assert handshake(made.authority, made.chain, made.key, name) == "TLSv1.3"
    assert stat.S_IMODE(made.key.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "ca.key").stat().st_mode) == 0o600


def test_another_name_is_refused(tmp_path: Path) -> None:
    made = self_made(tmp_path, tmp_path, "mail.saraban.example", NOW)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(made.authority, made.chain, made.key, "mail.example.org")


CASES = [
    ("mail.saraban.example", timedelta(days=1), False),
    ("mail.saraban.example", timedelta(days=366), False),
    ("mail.saraban.example", timedelta(days=368), True),
    ("mx.saraban.example", timedelta(days=1), True),
]


@pytest.mark.parametrize(("hostname", "later", "renewed"), CASES)
def test_it_is_renewed_when_due_or_when_the_name_changes(
    tmp_path: Path, hostname: str, later: timedelta, renewed: bool
) -> None:
    made = self_made(tmp_path, tmp_path, "mail.saraban.example", NOW)
    authority, chain, key = (file.read_bytes() for file in (made.authority, made.chain, made.key))
    self_made(tmp_path, tmp_path, hostname, NOW + later)
    assert (made.chain.read_bytes() != chain) is renewed
    assert made.authority.read_bytes() == authority
    assert made.key.read_bytes() == key
    assert hostname in str(x509.load_pem_x509_certificate(made.chain.read_bytes()).extensions)
