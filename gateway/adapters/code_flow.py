"""Signing in with a browser at an OpenID provider: where it is sent, and what its code is worth.

Somebody who was let in is asked about again by the refresh token where the provider gives one, else by its
userinfo; a provider that has neither says nothing of anybody later.

Source: OpenID Connect Core 1.0 §3.1 (code flow), §5.3 (userinfo), §12 (refresh); RFC 7636 (PKCE, S256);
RFC 9700 (best practice); RFC 9207 (the issuer in the answer).
"""

import base64
import hashlib
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from gateway.adapters.openid_provider import NotValid, OpenIdProviders, check_audience, check_times, name_in
from gateway.domain.agency import IdentityProvider
from gateway.ports import Admission, Attempt, Clock

REFUSED: Final = frozenset({400})  # RFC 6749 §5.2: the code, or the refresh token, is none that holds
SHUT_OUT: Final = frozenset({400, 401, 403})  # RFC 6750 §3.1
SCOPES: Final = {"sub": "openid", "email": "openid email"}  # by the claim that is wanted


class OpenIdCodeFlow:
    """The port CodeFlow."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._providers = clock, OpenIdProviders(clock)

    async def address(self, provider: IdentityProvider, attempt: Attempt, hint: str) -> str:
        endpoint = await self._providers.endpoint(provider.issuer, "authorization_endpoint")
        digest = hashlib.sha256(attempt.verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": attempt.redirect_uri,
            "scope": SCOPES.get(provider.claim, "openid profile"),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            "login_hint": hint,
        }
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(asked)}"

    async def admit(
        self, provider: IdentityProvider, secret: str, attempt: Attempt, code: str, issuer: str
    ) -> Admission | None:
        try:
            return await self._admit(provider, secret, attempt, code, issuer)
        except NotValid:
            return None

    async def still(self, provider: IdentityProvider, secret: str, admission: Admission) -> Admission | None:
        try:
            return await self._still(provider, secret, admission)
        except NotValid:
            return None

    async def _admit(
        self, provider: IdentityProvider, secret: str, attempt: Attempt, code: str, issuer: str
    ) -> Admission:
        configuration = await self._providers.configuration(provider.issuer)
        is_told = configuration.get("authorization_response_iss_parameter_supported") is True
        if issuer != provider.issuer if issuer else is_told:
            raise NotValid("another provider answers")
        said = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": attempt.redirect_uri,
            "code_verifier": attempt.verifier,
        }
        given = await self._tokens(provider, secret, said)
        claims = await self._identity(provider, str(given.get("id_token", "")))
        if claims.get("nonce") != attempt.nonce:
            raise NotValid("of another attempt")
        access_token = str(given.get("access_token", ""))
        if provider.claim not in claims:  # §5.4: with an access token they are told there
            claims = claims | await self._userinfo(provider, access_token, str(claims["sub"]))
        return Admission(
            name=name_in(claims, provider),
            subject=str(claims["sub"]),
            access_token=access_token,
            refresh_token=str(given.get("refresh_token", "")),
        )

    async def _still(self, provider: IdentityProvider, secret: str, admission: Admission) -> Admission:
        if not admission.refresh_token:
            claims = await self._userinfo(provider, admission.access_token, admission.subject)
            if provider.claim in claims and name_in(claims, provider) != admission.name:
                raise NotValid("another name than before")
            return admission
        said = {"grant_type": "refresh_token", "refresh_token": admission.refresh_token}
        given = await self._tokens(provider, secret, said)
        if "id_token" in given:
            claims = await self._identity(provider, str(given["id_token"]))
            if claims["sub"] != admission.subject:
                raise NotValid("of somebody else")
        return Admission(
            name=admission.name,
            subject=admission.subject,
            access_token=str(given.get("access_token", "")),
            refresh_token=str(given.get("refresh_token", admission.refresh_token)),
        )

    async def _tokens(self, provider: IdentityProvider, secret: str, said: dict[str, str]) -> dict[str, Any]:
        endpoint = await self._providers.endpoint(provider.issuer, "token_endpoint")
        client = provider.client_id, secret
        return await self._providers.post(provider.issuer, endpoint, client, said, REFUSED)

    async def _identity(self, provider: IdentityProvider, token: str) -> dict[str, Any]:
        """The claims of an ID token for us (§3.1.3.7)."""
        claims = await self._providers.verified(provider.issuer, token)
        if claims.get("iss") != provider.issuer:
            raise NotValid("of another issuer")
        check_audience(claims, provider.client_id)
        if claims.get("azp", provider.client_id) != provider.client_id:
            raise NotValid("given to another service")
        check_times(claims, self._clock.now())
        if not isinstance(claims.get("sub"), str):
            raise NotValid("of nobody")
        return claims

    async def _userinfo(self, provider: IdentityProvider, access_token: str, subject: str) -> dict[str, Any]:
        """What the provider says of the person now. Raises NotValid also where it says nothing."""
        endpoint = (await self._providers.configuration(provider.issuer)).get("userinfo_endpoint")
        if not isinstance(endpoint, str) or not access_token:
            raise NotValid("nobody to ask")
        headers = {"Authorization": f"Bearer {access_token}", "Accept": "application/json"}
        claims = await self._providers.json("GET", endpoint, SHUT_OUT, headers=headers)
        if claims.get("sub") != subject:  # §5.3.2
            raise NotValid("of somebody else")
        return claims
