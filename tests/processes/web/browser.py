"""A browser without scripts: it keeps cookies as RFC 6265bis says, follows redirects, fills forms in."""

import asyncio
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.client import HTTPMessage
from typing import IO
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

REDIRECTS_MAX = 12
VOID = {"input", "meta", "link", "br", "img", "hr"}


@dataclass
class Form:
    method: str
    action: str
    fields: dict[str, list[str]] = field(default_factory=dict)  # as the page has them filled in


class Page(HTMLParser):
    """What was answered, as somebody sees it."""

    def __init__(self, url: str, status: int, headers: HTTPMessage, octets: bytes) -> None:
        super().__init__()
        self.url, self.status, self.headers = url, status, headers
        self.html = octets.decode()
        self.forms: list[Form] = []
        self.links: dict[str, str] = {}  # address by what it says
        self.language = ""
        self.labelled: set[str] = set()  # ids that a <label> is for
        self.inputs: list[dict[str, str]] = []  # those to be filled in
        self.by_id: dict[str, str] = {}  # what elements with an id say
        self.headings: list[str] = []
        self._open: list[tuple[str, dict[str, str], list[str]]] = []
        self._said: list[str] = []
        if headers.get_content_type() == "text/html":
            self.feed(self.html)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._said).split())

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    def form(self, action: str) -> Form:
        """The form that goes to this path."""
        found = [form for form in self.forms if urlsplit(urljoin(self.url, form.action)).path == action]
        assert len(found) == 1, f"{self.url} has {[form.action for form in self.forms]}: {self.text}"
        return found[0]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        match tag:
            case "html":
                self.language = named.get("lang", "")
            case "form":
                self.forms.append(Form(named.get("method", "get"), named.get("action", "")))
            case "label":
                self.labelled.add(named.get("for", ""))
            case "input":
                self._input(named)
        if tag not in VOID:
            self._open.append((tag, named, []))

    def _input(self, named: dict[str, str]) -> None:
        if named.get("type") != "hidden":
            self.inputs.append(named)
        is_sent = named.get("type") != "checkbox" or "checked" in named
        if self.forms and "name" in named and is_sent:
            self.forms[-1].fields.setdefault(named["name"], []).append(named.get("value", ""))

    def handle_data(self, data: str) -> None:
        for _, _, said in self._open:
            said.append(data)
        if not any(tag in ("style", "script", "title") for tag, _, _ in self._open):
            self._said.append(data)

    def handle_endtag(self, tag: str) -> None:
        while self._open:
            name, named, said = self._open.pop()
            text = " ".join("".join(said).split())
            if name == "a":
                self.links[named.get("aria-label", text)] = named.get("href", "")
            if name in ("h1", "h2", "h3"):
                self.headings.append(name)
            if "id" in named:
                self.by_id[named["id"]] = text
            if name == tag:
                return


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> None:
        return None


@dataclass
class Browser:
    """base: where paths are at. Loopback is as good as TLS to it, as to real ones."""

    base: str
    trusts: ssl.SSLContext | None = None
    language: str = "en"
    hosts: Mapping[str, str] = field(default_factory=dict)  # where those are that no name server knows
    cookies: dict[tuple[str, str], str] = field(default_factory=dict)  # by host:port and name
    seen: list[str] = field(default_factory=list)  # every address asked for

    async def get(self, path: str) -> Page:
        return await self.send("GET", path)

    async def follow(self, page: Page, says: str) -> Page:
        """Click on a link."""
        return await self.send("GET", urljoin(page.url, page.links[says]))

    async def fill_in(self, page: Page, action: str, **values: str | list[str]) -> Page:
        """Fill a form in and send it. Values of fields the page has not are sent all the same."""
        form = page.form(action)
        fields = form.fields | {n: v if isinstance(v, list) else [v] for n, v in values.items()}
        return await self.send("POST", urljoin(page.url, form.action or page.url), fields)

    async def send(self, method: str, path: str, fields: Mapping[str, list[str]] | None = None) -> Page:
        """And go where that leads."""
        body = urlencode(fields, doseq=True).encode() if fields is not None else None
        url = urljoin(self.base, path)
        for _ in range(REDIRECTS_MAX):
            page = await self.ask(method, url, body)
            if page.status not in (302, 303):
                return page
            method, url, body = "GET", urljoin(url, page.headers["location"]), None
        raise AssertionError(f"{url}: it leads nowhere")

    async def ask(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        kind: str = "application/x-www-form-urlencoded",
    ) -> Page:
        """One request, whatever is answered."""
        url = urljoin(self.base, url)
        for known, where in self.hosts.items():
            url = f"{where}{url.removeprefix(known)}" if url.startswith(f"{known}/") else url
        self.seen.append(url)
        host = urlsplit(url).netloc
        mine = [f"{name}={value}" for (of, name), value in self.cookies.items() if of == host]
        headers = {"accept-language": self.language} | ({"cookie": "; ".join(mine)} if mine else {})
        if body is not None:
            headers["content-type"] = kind
        page = await asyncio.to_thread(self._ask, urllib.request.Request(url, body, headers, method=method))
        for each in page.headers.get_all("set-cookie") or []:
            self._keep(host, each)
        return page

    def _ask(self, request: urllib.request.Request) -> Page:
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if self.trusts is not None:
            handlers.append(urllib.request.HTTPSHandler(context=self.trusts))
        opener = urllib.request.build_opener(*handlers)
        try:
            with opener.open(request, timeout=30) as answer:
                return Page(request.full_url, answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Page(request.full_url, error.code, error.headers, error.read())

    def _keep(self, host: str, said: str) -> None:
        pair, *attributes = [each.strip() for each in said.split(";")]
        name, _, value = pair.partition("=")
        if name.startswith("__Host-"):
            lowered = {each.lower() for each in attributes}
            assert {"secure", "path=/"} <= lowered, said
            assert not any(each.startswith("domain") for each in lowered), said
        if (
            any(each.lower() == "max-age=0" for each in attributes)
            or "expires=thu, 01 jan 1970" in said.lower()
        ):
            self.cookies.pop((host, name), None)
        else:
            self.cookies[host, name] = value


def provider_link(page: Page) -> str:
    """Where the account page sends somebody to sign in."""
    (link,) = [href for href in page.links.values() if "code_challenge" in href]
    return link


async def at_provider(browser: Browser, where: str, login: str) -> Page:
    """Sign in at the provider of tests, agree, and come back."""
    page = await browser.send("GET", where)
    for _ in range(3):
        if page.url.startswith(browser.base):
            break
        (form,) = page.forms
        fields = {"login": login, "password": "any"} if form.fields["prompt"] == ["login"] else {}
        page = await browser.fill_in(page, urlsplit(form.action).path, **fields)
    return page


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
