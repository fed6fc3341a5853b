"""Mails that must stay inside TLS (RFC 8689), at the next hop."""

import ssl
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from gateway.domain.agency import NextHop
from gateway.domain.events import MailBounced, MailDeferred, MailRelayed
from gateway.ports import BadCertificate
from gateway.processes.trusting import verifying_context
from gateway.processes.up.certificates import Certificates, self_made
from gateway.processes.up.folder import claim
from gateway.settings import Settings
from gateway.wiring.doors import server_tls
from tests.processes.relay.host import Host
from tests.processes.relay.setting import Setting

STRICT = ("PIPELINING", "REQUIRETLS")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    with claim(folder):
        return self_made(folder / "tls", folder / "secrets", "localhost", datetime.now(UTC))


@pytest.fixture
def tls(certificates: Certificates) -> ssl.SSLContext:
    """A host's, for localhost."""
    context = server_tls(Settings(tls_cert=certificates.chain, tls_key=certificates.key))
    assert context is not None
    return context


@pytest.fixture
async def setting(certificates: Certificates) -> Setting:
    """A relay that trusts the authority which vouches for localhost."""
    setting = Setting()
    setting.means = replace(setting.means, trusting=partial(verifying_context, certificates.authority))
    return setting


async def test_a_host_that_is_who_it_says_and_keeps_it_so_gets_the_mail(
    setting: Setting, tls: ssl.SSLContext
) -> None:
    await setting.queued(requiretls=True)
    async with Host(tls=tls, extensions=STRICT).listening() as host:
        host.hop = NextHop("localhost", host.hop.port)
        async with setting.relay(host):
            (relayed,) = await setting.outcomes(1)
    assert isinstance(relayed, MailRelayed)
    (taken,) = host.taken
    assert taken.was_tls
    assert taken.commands[0].endswith(" REQUIRETLS")
    assert (await setting.said(relayed)).tls.startswith("TLSv1.")


def unknown(path: Path) -> ssl.SSLContext:
    """A host's own certificate, which nobody the relay trusts vouches for."""
    with claim(path):
        made = self_made(path / "tls", path / "secrets", "localhost", datetime.now(UTC))
    context = server_tls(Settings(tls_cert=made.chain, tls_key=made.key))
    assert context is not None
    return context


HOSTS: dict[str, Callable[[ssl.SSLContext, Path], Host]] = {
    "offers no TLS": lambda tls, path: Host(extensions=STRICT),
    "does not offer REQUIRETLS": lambda tls, path: Host(tls=tls),
    "is vouched for by nobody": lambda tls, path: Host(tls=unknown(path), extensions=STRICT),
}


@pytest.mark.parametrize("make", HOSTS.values(), ids=HOSTS)
async def test_a_host_that_does_not_gets_nothing_and_the_mail_goes_back(
    setting: Setting, tls: ssl.SSLContext, tmp_path: Path, make: Callable[[ssl.SSLContext, Path], Host]
) -> None:
    await setting.queued("bob@dld.go.th", "eve@dld.go.th", requiretls=True)
    async with make(tls, tmp_path).listening() as host:
        host.hop = NextHop("localhost", host.hop.port)
        async with setting.relay(host):
            (bounced,) = await setting.outcomes(1)
    assert isinstance(bounced, MailBounced)
    assert (bounced.recipients, bounced.status, bounced.reason) == ((0, 1), "5.7.30", "policy")
    assert host.taken == []


NOT_NOW: dict[str, Callable[[], Host]] = {
    "says so": lambda: Host(says={"STARTTLS": "454 4.7.0 not now"}, extensions=("STARTTLS",)),
    "fails": lambda: Host(tls=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)),  # it has no certificate to show
}


@pytest.mark.parametrize("make", NOT_NOW.values(), ids=NOT_NOW)
async def test_tls_that_cannot_be_had_just_now_is_asked_for_again(
    setting: Setting, make: Callable[[], Host]
) -> None:
    await setting.queued(requiretls=True)
    async with make().listening() as host, setting.relay(host):
        (deferred,) = await setting.outcomes(1)
    assert isinstance(deferred, MailDeferred)
    assert (deferred.status, host.taken) == ("4.7.5", [])


def test_a_certificate_is_looked_at_and_the_name_in_it(certificates: Certificates) -> None:
    for context in (verifying_context(), verifying_context(certificates.authority)):
        assert context.check_hostname
        assert context.verify_mode is ssl.CERT_REQUIRED


def test_authorities_of_ones_own_are_beside_those_of_the_machine(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with claim(tmp_path):
        machines = self_made(tmp_path / "tls", tmp_path / "secrets", "localhost", datetime.now(UTC)).authority
    monkeypatch.setenv("SSL_CERT_FILE", str(machines))
    assert len(verifying_context(certificates.authority).get_ca_certs()) == 2


@pytest.mark.parametrize(
    ("text", "why"),
    [(None, "No such file or directory"), ("", "no certificate"), ("-----BEGIN", "no certificate")],
)
def test_authorities_that_cannot_be_used_are_told_at_start(
    tmp_path: Path, text: str | None, why: str
) -> None:
    file = tmp_path / "ca.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(BadCertificate, match=rf"{file} \(SARABAN_RELAY_CA_FILE\) cannot be used: .*{why}"):
        verifying_context(file)


async def test_mail_that_requires_nothing_goes_to_the_same_host_all_the_same(setting: Setting) -> None:
    await setting.queued(requiretls=True)
    await setting.queued()
    async with Host().listening() as host, setting.relay(host):
        outcomes = await setting.outcomes(2)
    assert {type(outcome) for outcome in outcomes} == {MailBounced, MailRelayed}
    assert len(host.taken) == 1
