"""What we show to clients in TLS, from files; and what SCRAM's -PLUS proves with the password.

Source: RFC 8996 (versions), RFC 6066 §3 (server_name), RFC 9525 §6.3 (wildcards), RFC 5929 §4.1
(`tls-server-end-point` is the hash of the certificate's signature, SHA-256 for MD5 and SHA-1).
"""

import ssl
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from gateway.ports import BadCertificate, ServerContext


class CertificateFiles:
    """Implements the Certificates port: a chain and its key; and a folder of others, for who names them.

    A file of the folder is *.pem and holds chain and key. A name in two files is that of the first one.
    """

    def __init__(self, chain: Path, key: Path, folder: Path | None = None) -> None:
        self._chain, self._key, self._folder = chain, key, folder

    def stamp(self) -> object:
        try:
            others = [] if self._folder is None else _files_in(self._folder)
        except OSError:
            others = []
        return _stamps([self._chain, self._key, *others])

    def load(self) -> ServerContext:
        try:
            context = _context(self._chain, self._key)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise BadCertificate(
                f"the certificate {self._chain} and the key {self._key} cannot be used together: "
                f"{_reason(error)}"
            ) from error
        if self._folder is not None:
            context.sni_callback = partial(_show, _by_name(self._folder))
        return context


def _show(
    by_name: Mapping[str, ServerContext],
    connection: ssl.SSLObject | ssl.SSLSocket,
    name: str | None,
    context: ssl.SSLContext,
) -> None:
    """The client has named a host (RFC 6066 §3), or none: an unknown one is shown the certificate it has."""
    wanted = (name or "").lower()
    named = by_name.get(wanted) or by_name.get("*." + wanted.partition(".")[2])  # RFC 9525 §6.3: one label
    if named is not None:
        connection.context = named


def _by_name(folder: Path) -> dict[str, ServerContext]:
    """Every name of every certificate in the folder. Raises BadCertificate."""
    by_name: dict[str, ServerContext] = {}
    unusable = list[str]()
    try:
        files = _files_in(folder)
    except OSError as error:
        raise BadCertificate(f"the certificates in {folder} cannot be read: {_reason(error)}") from error
    for file in files:
        try:
            context = _context(file, file)
            for name in _names(file):
                by_name.setdefault(name, context)
        except (OSError, ValueError) as error:
            unusable.append(f"{file.name} ({_reason(error)})")
    if unusable:
        raise BadCertificate(f"certificates in {folder} cannot be used: {', '.join(unusable)}")
    return by_name


def _files_in(folder: Path) -> list[Path]:
    """Raises OSError."""
    return sorted(file for file in folder.iterdir() if file.match("[!.]*.pem"))


def _names(chain: Path) -> list[str]:
    """The hosts of the first certificate of a PEM file, in small letters. Raises OSError, ValueError."""
    certificate = x509.load_pem_x509_certificate(chain.read_bytes())
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = found.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        names = []
    if not names:
        raise ValueError("it names no host")
    return [name.lower() for name in names]


def _context(chain: Path, key: Path) -> ServerContext:
    """Raises OSError, ValueError."""
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
    context.load_cert_chain(chain, key, password="")  # a key with a password fails, and asks nobody for it
    context.channel_binding = channel_binding(chain)
    return context


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _stamps(files: Iterable[Path]) -> list[tuple[Path, int, int] | None]:
    """When each file was written and how large it is; None: it is not there."""
    return [_stamp(file) for file in files]


def _stamp(file: Path) -> tuple[Path, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return file, found.st_mtime_ns, found.st_size


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
