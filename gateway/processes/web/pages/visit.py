"""One request to the account page: whose it is, in which language, and how it is answered."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.processes.web.office import Office
from gateway.processes.web.pages import forms, rendering, texts
from gateway.processes.web.pages.faults import NotSignedIn
from gateway.processes.web.pages.forms import Form
from gateway.processes.web.pages.sessions import COOKIE, HOLDS_FOR, Session, Sessions, cookie, new_secret
from gateway.processes.web.rights import Caller
from gateway.processes.web.tokens import Holder
from projections.directory.query import AccountRow

HOME: Final = "/account"
SIGN_IN: Final = "/account/sign-in"
LANGUAGE_COOKIE: Final = "__Host-saraban-language"
BEFORE_COOKIE: Final = "__Host-saraban-before"  # of who has not signed in: forms are bound to it
YEAR: Final = timedelta(days=365)
AT_ONCE: Final = timedelta(0)

# The session of a cookie, if its holder may still come in where they signed in.
Still = Callable[[Office, Sessions, str], Awaitable[Session | None]]


@dataclass(slots=True)
class Visit:
    """form: of a POST. caller: None: nobody has signed in, or the page is for anybody."""

    office: Office
    request: Request
    parts: Mapping[str, str]  # of the path
    language: texts.Language = texts.FIRST
    form: Form = field(default_factory=dict)
    caller: Caller | None = None
    _set_cookies: list[str] = field(default_factory=list)
    _before: str = ""

    def __post_init__(self) -> None:
        chosen, cookies = self.request.query_params.get("lang", ""), self.request.cookies
        accepted = self.request.headers.get("accept-language", "")
        self.language = texts.wanted(chosen, cookies.get(LANGUAGE_COOKIE, ""), accepted)
        if chosen in texts.LANGUAGES:
            self._set_cookies.append(cookie(LANGUAGE_COOKIE, self.language, YEAR))
        self._before = cookies.get(BEFORE_COOKIE, "")

    # --- who it is

    @property
    def sessions(self) -> Sessions:
        return Sessions(self.office.keys, self.office.clock, self.office.entropy)

    @property
    def token(self) -> str:
        """Of the session; "": there is none."""
        return self.request.cookies.get(COOKIE, "")

    @property
    def remote_ip(self) -> str:
        return self.request.client.host if self.request.client else ""

    async def enter(self, still: Still) -> None:
        """Know who it is, and what that person may do now. Raises NotSignedIn."""
        if not self.token:
            raise NotSignedIn
        session, caller = await still(self.office, self.sessions, self.token), None
        if session is not None:
            caller = await self.office.caller(Holder(account_id=session.account_id))
        if caller is None:
            await self.leave()
            raise NotSignedIn("ended")
        if caller.own_account.status != "active":
            await self.leave()
            ended = caller.own_account.status == "trial-ended"
            raise NotSignedIn("trial-ended" if ended else "suspended")
        self.caller = caller

    @property
    def account(self) -> AccountRow:
        """One's own, for who has signed in: what a page is about is never taken from a request."""
        assert self.caller is not None, "it is for who has signed in"
        return self.caller.own_account

    async def leave(self) -> None:
        """End the session, here and in the browser."""
        if await self.sessions.find(self.token) is not None:
            await self.sessions.end(self.token)
        self._set_cookies.append(cookie(COOKIE, "", AT_ONCE))

    def let_in(self, session: str) -> Response:
        """session: one that begins with this; what the browser had before counts no more."""
        self._set_cookies.append(cookie(COOKIE, session, HOLDS_FOR))
        self._set_cookies.append(cookie(BEFORE_COOKIE, "", AT_ONCE))
        return self.go(HOME)

    @property
    def secret(self) -> str:
        """What this browser's forms are bound to."""
        if self.caller is not None:
            return self.token
        return self._before

    def check_form(self) -> None:
        """Raises PageFault: it is not one that was made for this browser."""
        forms.check_csrf(self.form, self.secret)

    # --- what is answered

    def page(
        self,
        template: str,
        status: HTTPStatus = HTTPStatus.OK,
        headers: Mapping[str, str] | None = None,
        **values: Any,
    ) -> Response:
        """here: where the same page is asked for in the other language."""
        if self.caller is None and not self._before:
            self._before = new_secret(self.office.entropy)
            self._set_cookies.append(cookie(BEFORE_COOKIE, self._before))
        values = {"here": self.request.url.path, "is_inside": self.caller is not None} | values
        csrf = forms.derived(self.secret, forms.CSRF)
        return self._with_cookies(
            rendering.page(template, self.language, status, headers, csrf=csrf, **values)
        )

    def go(self, path: str) -> Response:
        """Ask for that page instead (RFC 9110 §15.4.4)."""
        return self._with_cookies(
            Response(status_code=HTTPStatus.SEE_OTHER, headers=rendering.HEADERS | {"location": path})
        )

    def set_cookie(self, said: str) -> None:
        """said: as `sessions.cookie` makes it."""
        self._set_cookies.append(said)

    def say(self, name: str, /, **values: object) -> str:
        return texts.say(name, self.language, **values)

    def _with_cookies(self, response: Response) -> Response:
        for each in self._set_cookies:
            response.headers.append("set-cookie", each)
        return response


@dataclass(frozen=True, slots=True)
class Door:
    """One thing the page does. is_inside: for who has signed in."""

    method: str
    path: str  # below the host, `{name}` for a part that is chosen
    handle: Callable[[Visit], Coroutine[Any, Any, Response]]
    is_inside: bool = True
