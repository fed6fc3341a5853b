"""The header field of RFC 8689 §5."""

import pytest

from gateway.mail.tls_required import is_tls_optional


@pytest.mark.parametrize(
    ("header", "is_optional"),
    [
        (b"TLS-Required: No\r\n", True),
        (b"From: a@example.org\r\ntls-required:no (please)\r\n", True),
        (b"TLS-Required:\r\n No\r\n", True),
        (b"TLS-Required: Yes\r\n", False),
        (b"TLS-Required:\r\n", False),
        (b"TLS-Required: Yes\r\nTLS-Required: No\r\n", False),
        (b"X-TLS-Required: No\r\n", False),
        (b"Subject: a\r\n TLS-Required: No\r\n", False),
        (b"Subject: TLS-Required: No\r\n", False),
        (b"", False),
    ],
)
def test_one_value_says_something(header: bytes, is_optional: bool) -> None:
    assert is_tls_optional(header + b"\r\n") == is_optional
