"""Pages as HTML: the templates, the headers that every page has, and how times and sizes are written.

Source: Content Security Policy Level 3, Referrer Policy, RFC 9111 §5.2.2.5 (no-store); OWASP ASVS 5.0 §3.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from gateway.mail.local_time import BANGKOK
from gateway.processes.web.pages.texts import LANGUAGES, Language, say

# No scripts at all, nothing from elsewhere, and nobody frames it.
POLICY: Final = (
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",  # browsers that know no frame-ancestors
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
BUDDHIST_YEARS: Final = 543
_MONTHS: Final[dict[Language, tuple[str, ...]]] = {
    "th": (
        "ม.ค.", "ก.พ.", "มี.ค.", "เม.ย.", "พ.ค.", "มิ.ย.", "ก.ค.", "ส.ค.", "ก.ย.", "ต.ค.", "พ.ย.", "ธ.ค.",
    ),
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
}  # fmt: skip

TEMPLATES: Final = Environment(
    loader=PackageLoader("gateway.processes.web.pages"),
    autoescape=True,  # whatever a template is called
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
STYLE: Final = TEMPLATES.get_template("style.css").render()


def page(
    template: str,
    language: Language,
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> Response:
    """One page. values: what its template asks for; one that is missing is our own mistake."""
    text = TEMPLATES.get_template(template).render(
        language=language,
        languages=LANGUAGES,
        say=partial(_say, language),
        time=partial(written_time, language),
        size=written_size,
        **({"csrf": "", "is_inside": False, "notice": "", "fault": ""} | values),
    )
    return HTMLResponse(text, status, HEADERS | {"content-language": language} | dict(headers or {}))


def style() -> Response:
    return Response(STYLE, 200, HEADERS, "text/css")


def written_time(language: Language, at: datetime) -> str:
    """In Bangkok's time; Thai years are of the Buddhist era."""
    there = at.astimezone(BANGKOK)
    year = there.year + (BUDDHIST_YEARS if language == "th" else 0)
    clock = f"{there:%H:%M} น." if language == "th" else f"{there:%H:%M} (UTC+7)"
    return f"{there.day} {_MONTHS[language][there.month - 1]} {year} {clock}"


def written_size(octets: int) -> str:
    """As people know it from elsewhere: 1 MB is 1,048,576 octets."""
    for unit, size in (("GB", 1024**3), ("MB", 1024**2), ("KB", 1024)):
        if octets >= size:
            return f"{octets / size:.1f} {unit}"
    return f"{octets} B"


def _say(language: Language, name: str, /, **values: object) -> str:
    return say(name, language, **values)
