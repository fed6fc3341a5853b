"""People sign in by tokens of their agency's OpenID provider, which is a real one (npm's oidc-provider)."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.gateway import Gateway
from tests.e2e.load import host_and_port
from tests.e2e.messages import new_message_id
from tests.e2e.test_signing_in import Attempt, Sender, by_curl, by_msmtp
from tests.identity.provider import IdentityProviderOfTests, running_provider


@dataclass(frozen=True)
class Identity:
    """The provider of opm.go.th; opdc.go.th has none. is_asked: about each token, else by its keys."""

    provider: IdentityProviderOfTests
    is_asked: bool

    def token(self, email: str, seconds: int = 300, audience: str = "saraban") -> str:
        resource = "urn:mail:opaque" if self.is_asked else "urn:mail:jwt"
        return self.provider.token(email, resource, seconds, audience)


@pytest.fixture(scope="module", params=[False, True], ids=["by its keys", "by asking"])
def identity(
    gateway: Gateway, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Identity]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    secret = tmp_path_factory.mktemp("identity") / "secret"
    secret.write_text("ours\n")
    agency_id = next(row["agency_id"] for row in gateway.agencies() if "opm.go.th" in row["domains"])
    with running_provider(port) as provider:
        identity = Identity(provider, request.param)
        where = ("--issuer", provider.issuer, "--audience", "saraban", "--claim", "sub")
        asking = ("--client-id", "saraban", "--secret-file", str(secret)) if identity.is_asked else ()
        gateway.cli("agency", "identity", agency_id, *where, *asking)
        token = identity.token("somchai@opm.go.th")
        gateway.wait(lambda: sent(gateway, token, "OAUTHBEARER")[0], "the rows know the provider")
        yield identity
        gateway.cli("agency", "identity", agency_id, "--none", "--yes")


def sent(
    gateway: Gateway, token: str, mechanism: str, address: str = "somchai@opm.go.th"
) -> tuple[bool, str]:
    """Somebody's program sends a mail with this token: whether the gateway took it, and what was said.

    curl knows OAUTHBEARER, and prefers it whatever it is told; msmtp sends XOAUTH2.
    """
    ports = host_and_port(gateway.address("submission")), host_and_port(gateway.address("submissions"))
    sender = Sender(address, token, token, gateway.ready["ca_file"], *ports)
    folder = gateway.data.parent
    attempt = Attempt(sender, token, mechanism, True, new_message_id(), "malee@opdc.go.th", folder)
    return by_msmtp(attempt) if mechanism == "XOAUTH2" else by_curl(attempt, "--oauth2-bearer", token)


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
def test_a_token_signs_in(gateway: Gateway, identity: Identity, mechanism: str) -> None:
    has_sent, said = sent(gateway, identity.token("somchai@opm.go.th"), mechanism)
    assert has_sent, said


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
@pytest.mark.parametrize("kind", ["expired", "foreign", "audience", "no provider"])
def test_a_token_that_is_not_the_persons_is_refused(
    gateway: Gateway, identity: Identity, mechanism: str, kind: str
) -> None:
    address = "malee@opdc.go.th" if kind == "no provider" else "somchai@opm.go.th"
    holder = "malee@opdc.go.th" if kind == "foreign" else address
    audience = "another service" if kind == "audience" else "saraban"
    token = identity.token(holder, seconds=-5 if kind == "expired" else 300, audience=audience)
    has_sent, said = sent(gateway, token, mechanism, address)
    assert not has_sent
    assert "5.7.8" in said, said
    refused = gateway.events("signin.refused/1")[-1]["event"]
    assert refused["reason"] == ("no-provider" if kind == "no provider" else "token")
    assert refused["mechanism"] == mechanism, said


def test_who_is_shut_out_at_a_provider_that_is_asked_is_shut_out_here(
    gateway: Gateway, identity: Identity
) -> None:
    token = identity.token("saraban@opm.go.th")
    identity.provider.close("saraban@opm.go.th")
    has_sent, said = sent(gateway, token, "OAUTHBEARER", "saraban@opm.go.th")
    assert has_sent is not identity.is_asked, said  # its signature is good until it expires
