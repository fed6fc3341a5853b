"""What mail programs are told about this gateway, by its settings."""

from gateway.protocols.autoconfig.offer import Offer, Protocol, Server
from gateway.settings import Settings, split_address

HTTPS_PORT = 443


def offer(settings: Settings) -> Offer:
    """TLS from the first octet before STARTTLS, IMAP before POP3. Without a certificate nobody signs in."""
    has_tls = settings.tls_cert is not None and settings.tls_key is not None
    listening: list[tuple[Protocol, bool, str]] = [
        ("imap", True, settings.listen_imaps),
        ("imap", False, settings.listen_imap),
        ("pop3", True, settings.listen_pop3s),
        ("pop3", False, settings.listen_pop3),
        ("smtp", True, settings.listen_submissions),
        ("smtp", False, settings.listen_submission),
    ]
    servers = tuple(
        Server(protocol, split_address(address)[1], is_implicit)
        for protocol, is_implicit, address in listening
        if address and has_tls
    )
    return Offer(settings.hostname, settings.public_url.rstrip("/") or _own_url(settings), servers)


def _own_url(settings: Settings) -> str:
    port = split_address(settings.listen_https)[1] if settings.listen_https else HTTPS_PORT
    return f"https://{settings.hostname}" + ("" if port == HTTPS_PORT else f":{port}")
