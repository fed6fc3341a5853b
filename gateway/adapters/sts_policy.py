"""MTA-STS policies, fetched from the domains' own web servers.

Source: RFC 8461 §3.3: HTTPS with a certificate for `mta-sts.<domain>`, 200 alone, no redirects; §3.2 (media
type, size); §10.2 (no end is no answer).
"""

import asyncio
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import urllib3

from gateway.domain.mta_sts import MEDIA_TYPE, POLICY_OCTETS_MAX, POLICY_PATH, policy_host
from gateway.ports import Resolver, Unavailable

HTTPS: Final = 443
PIECE_OCTETS: Final = 8 * 1024
TIMEOUT_S: Final = 10.0  # to connect, and for each piece
ANSWER_S: Final = 60.0  # for all of it (RFC 8461 §3.3: a minute)
AT_ONCE: Final = 8  # they wait for one another and for nothing else


class PolicyHosts:
    """Implements the StsHosts port. trusting: whom we trust to say who a host is. port: another in tests."""

    def __init__(self, resolver: Resolver, trusting: ssl.SSLContext, *, port: int = HTTPS) -> None:
        self._resolver, self._trusting, self._port = resolver, trusting, port
        self._threads = ThreadPoolExecutor(AT_ONCE, "MTA-STS")

    async def fetch(self, domain: str) -> bytes:
        host = policy_host(domain)
        found = [*(await self._resolver.a(host)).records, *(await self._resolver.aaaa(host)).records]
        if not found:
            raise Unavailable("MTA-STS", f"{host} has no address")
        loop, why = asyncio.get_running_loop(), ""
        for address in found[:2]:
            try:
                async with asyncio.timeout(ANSWER_S):
                    return await loop.run_in_executor(self._threads, self._get, host, address)
            except (urllib3.exceptions.HTTPError, TimeoutError, OSError, ValueError) as error:
                why = str(error) or "it takes too long"
        raise Unavailable("MTA-STS", f"{host}: {why}")

    def _get(self, host: str, address: str) -> bytes:
        """Raises HTTPError, OSError, ValueError."""
        ends_at = time.monotonic() + ANSWER_S
        with urllib3.HTTPSConnectionPool(
            address,
            self._port,
            timeout=TIMEOUT_S,
            retries=False,
            ssl_context=self._trusting,
            server_hostname=host,
            assert_hostname=host,
        ) as pool:
            headers = {"Host": host, "Accept": MEDIA_TYPE}
            answer = pool.request("GET", POLICY_PATH, redirect=False, preload_content=False, headers=headers)
            try:
                return _body(answer, ends_at)
            finally:
                answer.close()


def _body(answer: urllib3.BaseHTTPResponse, ends_at: float) -> bytes:
    """Raises ValueError for what is no policy."""
    if answer.status != 200:
        raise ValueError(f"it answers {answer.status}")
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != MEDIA_TYPE:
        raise ValueError(f"it answers {kind or 'no media type'}, not {MEDIA_TYPE}")
    octets = b""
    for piece in answer.stream(PIECE_OCTETS):
        octets += piece
        if len(octets) > POLICY_OCTETS_MAX:
            raise ValueError(f"the policy has more than {POLICY_OCTETS_MAX} octets")
        if time.monotonic() > ends_at:
            raise ValueError("it takes too long")
    return octets
