"""What a browser sends with POST, and the tokens that show which page a form came from.

Source: HTML Living Standard (application/x-www-form-urlencoded); OWASP ASVS 5.0 §3.5 (CSRF).
"""

import base64
import hashlib
import hmac
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from gateway.processes.web.pages.faults import PageFault

FORM_OCTETS_MAX: Final = 16 * 1024
FIELDS_MAX: Final = 50
CSRF: Final = "csrf"

Form = dict[str, list[str]]


async def read_form(request: Request) -> Form:
    """The fields of a form by name. Raises PageFault."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/x-www-form-urlencoded":
        raise PageFault(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "no-form")
    octets = bytearray()
    async for chunk in request.stream():
        octets += chunk
        if len(octets) > FORM_OCTETS_MAX:
            raise PageFault(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too-large")
    try:
        pairs = parse_qsl(
            octets.decode("ascii"), True, encoding="utf-8", errors="strict", max_num_fields=FIELDS_MAX
        )
    except ValueError as error:
        raise PageFault(HTTPStatus.BAD_REQUEST, "no-form") from error
    form: Form = {}
    for name, value in pairs:
        form.setdefault(name, []).append(value.replace("\0", ""))
    return form


def field(form: Form, name: str) -> str:
    """The one value of a field, without spaces around; "" when it is not there."""
    return (form.get(name) or [""])[0].strip()


def derived(secret: str, purpose: str) -> str:
    """What is told of a cookie's secret for one purpose alone: 43 characters."""
    octets = hmac.digest(secret.encode(), purpose.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def check_csrf(form: Form, secret: str) -> None:
    """Raises PageFault: the form was not made for who holds this cookie."""
    expected = derived(secret, CSRF)
    if not secret or not hmac.compare_digest(field(form, CSRF).encode(), expected.encode()):
        raise PageFault(HTTPStatus.FORBIDDEN, "forged")
