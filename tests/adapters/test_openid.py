"""Tokens of a real OpenID provider: what is let in by them, and what is not."""

import base64
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import msgspec
import pytest
from joserfc.jwk import RSAKey

from gateway.adapters.openid import REMEMBERED, OpenIdTokens
from gateway.adapters.openid_provider import ANSWER_OCTETS_MAX, ANSWER_S, DOWN_S, KEYS_AGAIN_S
from gateway.domain.agency import IdentityProvider
from gateway.ports import Unavailable
from tests.identity.provider import IdentityProviderOfTests, running_provider

SUDA = "suda@opm.go.th"


@dataclass
class Clock:
    """The clock of the machine, moved by hand: a provider's tokens are of its own time."""

    passed: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.passed

    def monotonic(self) -> float:
        return self.now().timestamp()

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody sleeps here")


@pytest.fixture(scope="module")
def identity(free_port: int) -> Iterator[IdentityProviderOfTests]:
    with running_provider(free_port) as running:
        yield running


@pytest.fixture(scope="module")
def free_port() -> int:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as held:
        return held.server_port


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(clock: Clock) -> OpenIdTokens:
    return OpenIdTokens(clock, os.urandom)


@pytest.fixture
def by_keys(identity: IdentityProviderOfTests) -> IdentityProvider:
    return IdentityProvider(identity.issuer, "saraban", claim="sub")


@pytest.fixture
def by_asking(by_keys: IdentityProvider) -> IdentityProvider:
    return msgspec.structs.replace(by_keys, client_id="saraban")


async def test_a_signed_token_is_its_holders(
    tokens: OpenIdTokens, clock: Clock, identity: IdentityProviderOfTests, by_keys: IdentityProvider
) -> None:
    found = await tokens.holder(by_keys, "", identity.token(SUDA))
    assert found is not None
    assert found.name == SUDA
    assert found.until <= clock.now() + REMEMBERED


async def test_a_token_that_tells_nothing_is_asked_about(
    tokens: OpenIdTokens,
    identity: IdentityProviderOfTests,
    by_keys: IdentityProvider,
    by_asking: IdentityProvider,
) -> None:
    opaque = identity.token(SUDA, "urn:mail:opaque")
    found = await tokens.holder(by_asking, "ours", opaque)
    assert found is not None
    assert found.name == SUDA
    assert await tokens.holder(by_keys, "", opaque) is None, "nobody is asked without a secret"


async def test_a_token_expires_also_one_that_is_remembered(
    tokens: OpenIdTokens, clock: Clock, identity: IdentityProviderOfTests, by_keys: IdentityProvider
) -> None:
    token = identity.token(SUDA, seconds=60)
    assert await tokens.holder(by_keys, "", token) is not None
    clock.passed += timedelta(seconds=61)
    assert await tokens.holder(by_keys, "", token) is None


async def test_who_is_shut_out_at_the_provider_is_shut_out_here_within_five_minutes(
    tokens: OpenIdTokens, clock: Clock, identity: IdentityProviderOfTests, by_asking: IdentityProvider
) -> None:
    token = identity.token("leaver@opm.go.th", "urn:mail:opaque", seconds=3600)
    assert await tokens.holder(by_asking, "ours", token) is not None
    identity.close("leaver@opm.go.th")
    clock.passed += REMEMBERED + timedelta(seconds=1)
    assert timedelta(minutes=5) > clock.passed
    assert await tokens.holder(by_asking, "ours", token) is None


async def test_a_token_for_another_audience_or_of_another_issuer_opens_nothing(
    tokens: OpenIdTokens, identity: IdentityProviderOfTests, by_keys: IdentityProvider, unused_tcp_port: int
) -> None:
    assert await tokens.holder(by_keys, "", identity.token(SUDA, audience="another service")) is None
    with running_provider(unused_tcp_port) as other:
        assert await tokens.holder(by_keys, "", other.token(SUDA)) is None


def altered(token: str, **claims: object) -> str:
    """The same token with other claims and the old signature; alg none where it says so."""
    header, body, signature = token.split(".")
    said = json.loads(base64.urlsafe_b64decode(body + "=="))
    body = base64.urlsafe_b64encode(json.dumps(said | claims).encode()).decode().rstrip("=")
    return ".".join((header, body, signature))


async def test_what_its_issuer_did_not_sign_opens_nothing(
    tokens: OpenIdTokens, identity: IdentityProviderOfTests, by_keys: IdentityProvider
) -> None:
    token = identity.token("malee@opdc.go.th")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=") + f".{token.split('.')[1]}."
    for forged in (altered(token, sub=SUDA), unsigned, token[:-8] + "AAAAAAAA", "no.token.", "x" * 3000):
        assert await tokens.holder(by_keys, "", forged) is None


async def test_a_provider_that_is_away_is_unavailable(tokens: OpenIdTokens, unused_tcp_port: int) -> None:
    provider = IdentityProvider(f"http://127.0.0.1:{unused_tcp_port}", "saraban")
    with pytest.raises(Unavailable, match="identity provider"):
        await tokens.holder(provider, "", "a.b.c")


async def test_a_provider_that_is_away_is_tried_again_after_a_while_only(
    tokens: OpenIdTokens, clock: Clock, unused_tcp_port: int
) -> None:
    provider = IdentityProvider(f"http://127.0.0.1:{unused_tcp_port}", "saraban")
    for said in ("refused", "just now", "just now"):
        with pytest.raises(Unavailable, match=said):
            await tokens.holder(provider, "", "a.b.c")
    clock.passed += timedelta(seconds=DOWN_S + 1)
    with pytest.raises(Unavailable, match="refused"):
        await tokens.holder(provider, "", "a.b.c")


async def test_what_is_not_https_is_not_asked(tokens: OpenIdTokens) -> None:
    with pytest.raises(Unavailable, match="not https"):
        await tokens.holder(IdentityProvider("http://id.example.org", "saraban"), "", "a.b.c")


class Answers(BaseHTTPRequestHandler):
    """A provider that answers what a test has put here, by path."""

    by_path: dict[str, tuple[int, bytes]] = {}  # noqa: RUF012  # of the class on purpose
    asked: list[str] = []  # noqa: RUF012
    midway: list[Callable[[], None]] = []  # noqa: RUF012  # what happens when an answer has begun

    def do_GET(self) -> None:
        self.asked.append(self.path)
        status, octets = self.by_path[self.path]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(octets[:1])
        for happens in self.midway:
            happens()
        self.wfile.write(octets[1:])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""


@pytest.fixture
def odd() -> Iterator[IdentityProvider]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield IdentityProvider(f"http://127.0.0.1:{server.server_port}", "saraban")
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "octets", "said"),
    [
        (200, b"not JSON", "identity provider"),
        (200, b"[]", "no JSON object"),
        (404, b"{}", "answered by 404"),
        (302, b"{}", "answered by 302"),
        (200, b'{"issuer": "https://other.example"}', "calls itself otherwise"),
    ],
)
async def test_a_provider_that_talks_nonsense_is_unavailable(
    tokens: OpenIdTokens, odd: IdentityProvider, status: int, octets: bytes, said: str
) -> None:
    Answers.by_path = {"/.well-known/openid-configuration": (status, octets)}
    with pytest.raises(Unavailable, match=said):
        await tokens.holder(odd, "", "a.b.c")


async def test_a_provider_that_never_comes_to_an_end_is_unavailable(
    tokens: OpenIdTokens, clock: Clock, odd: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dribble() -> None:
        clock.passed += timedelta(seconds=ANSWER_S + 1)

    Answers.by_path = {"/.well-known/openid-configuration": (200, b"{" + b" " * ANSWER_OCTETS_MAX)}
    with pytest.raises(Unavailable, match="too much"):
        await tokens.holder(odd, "", "a.b.c")
    monkeypatch.setattr(Answers, "midway", [dribble])
    told = json.dumps({"issuer": odd.issuer}).encode()
    Answers.by_path = {"/.well-known/openid-configuration": (200, told)}
    with pytest.raises(Unavailable, match="too slowly"):
        await tokens.holder(odd, "", "a.b.c")


async def test_forged_tokens_do_not_make_us_ask_for_keys_each_time(
    tokens: OpenIdTokens, clock: Clock, odd: IdentityProvider
) -> None:
    configuration = {"issuer": odd.issuer, "jwks_uri": f"{odd.issuer}/keys"}
    Answers.by_path = {
        "/.well-known/openid-configuration": (200, json.dumps(configuration).encode()),
        "/keys": (200, json.dumps({"keys": [RSAKey.generate_key(2048).as_dict(private=False)]}).encode()),
    }
    Answers.asked.clear()
    for _ in range(5):
        assert await tokens.holder(odd, "", "eyJhbGciOiJSUzI1NiJ9.e30.AAAA") is None
    assert Answers.asked.count("/keys") == 1
    clock.passed += timedelta(seconds=KEYS_AGAIN_S + 1)
    assert await tokens.holder(odd, "", "eyJhbGciOiJSUzI1NiJ9.e30.AAAA") is None
    assert Answers.asked.count("/keys") == 2
