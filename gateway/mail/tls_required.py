"""A message whose sender wants it to arrive, in the clear if need be.

Source: RFC 8689 §5 (the TLS-Required header field, whose one value is "No").
"""

import re
from typing import Final

from gateway.mail import headers

FIELD: Final = "TLS-Required"
# Few messages have it: their fields alone are taken apart.
_FIELD: Final = re.compile(rb"^tls-required[ \t]*:", re.IGNORECASE | re.MULTILINE)


def is_tls_optional(header: bytes) -> bool:
    """True when the message says so: what domains demand of TLS is not for it. Anything else says nothing."""
    if not _FIELD.search(header):
        return False
    field = headers.first(header, FIELD)
    return field is not None and headers.without_comments(field.value).strip().lower() == b"no"
