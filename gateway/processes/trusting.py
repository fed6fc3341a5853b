"""Whom we trust to say who a next hop is.

Source: RFC 8689 §4.2.1 (a mail that requires TLS goes to the host that is meant).
"""

import ssl
from pathlib import Path

from gateway.ports import BadCertificate


def verifying_context(authorities: Path | None = None) -> ssl.SSLContext:
    """TLS with the host that is meant, by the authorities this machine trusts (or SSL_CERT_FILE names).

    authorities: a PEM file of further ones. Raises BadCertificate.
    """
    context = ssl.create_default_context()
    if authorities is not None:
        try:
            context.load_verify_locations(cafile=authorities)
        except OSError as error:  # ssl.SSLError is an OSError
            why = "it has no certificate" if isinstance(error, ssl.SSLError) else error.strerror or error
            raise BadCertificate(
                f"the authorities in {authorities} (SARABAN_RELAY_CA_FILE) cannot be used: {why}"
            ) from error
    return context
