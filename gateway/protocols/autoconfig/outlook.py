"""Autodiscover as Outlook and some phones ask for it: POX (v1), and where that is (v2, JSON).

Source: [MS-OXDSCLI] §2.2.3, §2.2.4 (POX request and response); [MS-OXDISCO] and Microsoft's description of
Autodiscover v2 for Exchange (autodiscover.json).
"""

import json
import re
from html import unescape
from typing import Final
from xml.etree import ElementTree as Xml

from gateway.protocols.autoconfig.offer import Offer

PATH: Final = "/autodiscover/autodiscover.xml"  # asked for in any case
JSON_PATH: Final = "/autodiscover/autodiscover.json"
RESPONSE: Final = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
OUTLOOK: Final = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
# The one thing we want to know of a request; it is not parsed as XML, whose entities could be anything.
_ADDRESS: Final = re.compile(r"<(?:\w+:)?EMailAddress\s*>\s*([^<>\s]{3,320})\s*</(?:\w+:)?EMailAddress\s*>")
_SCHEMA: Final = re.compile(r"<(?:\w+:)?AcceptableResponseSchema\s*>\s*([^<>\s]+)\s*<")


def address_in(request: bytes) -> str | None:
    """The address that Outlook asks for; None: it asks for none, or for another kind of answer."""
    text = request.decode("utf-8", "replace")
    address, schema = _ADDRESS.search(text), _SCHEMA.search(text)
    if address is None or (schema is not None and schema[1] != OUTLOOK):
        return None
    return unescape(address[1])


def pox(offer: Offer, address: str) -> bytes:
    """For one address. IMAP, or POP3 where there is no IMAP, and SMTP."""
    root = Xml.Element("Autodiscover", xmlns=RESPONSE)
    account = Xml.SubElement(Xml.SubElement(root, "Response", xmlns=OUTLOOK), "Account")
    _tell(account, AccountType="email", Action="settings")
    incoming = offer.best("imap") or offer.best("pop3")
    for server in (incoming, offer.best("smtp")):
        if server is not None:
            _tell(
                Xml.SubElement(account, "Protocol"),
                Type=server.protocol.upper(),
                Server=offer.hostname,
                Port=str(server.port),
                DomainRequired="off",
                LoginName=address,
                SPA="off",
                SSL="on",
                Encryption="SSL" if server.is_implicit else "TLS",
                AuthRequired="on",
            )
    octets: bytes = Xml.tostring(root, "utf-8", xml_declaration=True)
    return octets


def where(offer: Offer, protocol: str) -> tuple[int, bytes]:
    """The status and the answer of Autodiscover v2: where v1 is, which is all there is."""
    if protocol.lower() != "autodiscoverv1":
        refusal = {
            "ErrorCode": "ProtocolNotSupported",
            "ErrorMessage": "Only the protocol AutodiscoverV1 is served here.",
        }
        return 400, json.dumps(refusal).encode()
    return 200, json.dumps({"Protocol": "AutodiscoverV1", "Url": f"{offer.url}{PATH}"}).encode()


def _tell(element: Xml.Element, **values: str) -> None:
    for name, value in values.items():
        Xml.SubElement(element, name).text = value
