"""The file Thunderbird, K-9 Mail, Evolution and others look for (config-v1.1.xml).

Source: Mozilla, "Autoconfiguration: config file format" 1.1 (draft-bucksch-autoconfig).
"""

from typing import Final
from xml.etree import ElementTree as Xml

from gateway.protocols.autoconfig.offer import Offer

PATHS: Final = ("/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml")
USERNAME: Final = "%EMAILADDRESS%"  # the program puts in what was typed


def mozilla(offer: Offer, domain: str) -> bytes:
    """For everybody at a domain."""
    root = Xml.Element("clientConfig", version="1.1")
    provider = Xml.SubElement(root, "emailProvider", id=domain)
    _tell(provider, domain=domain, displayName=domain, displayShortName=domain)
    for server in offer.of("imap", "pop3", "smtp"):
        kind = "outgoingServer" if server.protocol == "smtp" else "incomingServer"
        _tell(
            Xml.SubElement(provider, kind, type=server.protocol),
            hostname=offer.hostname,
            port=str(server.port),
            socketType="SSL" if server.is_implicit else "STARTTLS",
            username=USERNAME,
            authentication="password-cleartext",  # inside TLS
        )
    octets: bytes = Xml.tostring(root, "utf-8", xml_declaration=True)
    return octets


def _tell(element: Xml.Element, **values: str) -> None:
    for name, value in values.items():
        Xml.SubElement(element, name).text = value
