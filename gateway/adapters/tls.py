"""What our certificate is bound to: `tls-server-end-point`, which SCRAM's -PLUS proves with the password.

Source: RFC 5929 §4.1 (the hash is that of the certificate's signature, SHA-256 for MD5 and SHA-1).
"""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes


def channel_binding(chain: Path) -> bytes | None:
    """Of the first certificate of a PEM file; None when its signature has no hash of its own (Ed25519).

    Raises OSError, ValueError.
    """
    certificate = x509.load_pem_x509_certificate(chain.read_bytes())
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None:
        return None
    if isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        algorithm = hashes.SHA256()
    return certificate.fingerprint(algorithm)
