"""What mail programs are told, in each of their formats, as their own parsers would read it.

Source: Mozilla's config file format 1.1, [MS-OXDSCLI] §2.2.4, Apple's Email Payload, RFC 6186, RFC 8314 §5.1.
"""

import json
import plistlib
from dataclasses import replace
from xml.etree import ElementTree as Xml

import pytest

from gateway.protocols.autoconfig.apple import profile
from gateway.protocols.autoconfig.mozilla import mozilla
from gateway.protocols.autoconfig.offer import Offer, Server
from gateway.protocols.autoconfig.outlook import OUTLOOK, address_in, pox, where
from gateway.protocols.autoconfig.records import Record, records

OFFER = Offer(
    "mail.example.org",
    "https://mail.example.org:8443",
    (
        Server("imap", 993, True),
        Server("imap", 143, False),
        Server("pop3", 995, True),
        Server("smtp", 465, True),
        Server("smtp", 587, False),
    ),
)
NOTHING = replace(OFFER, servers=())
ADDRESS = "suda+a&b@opm.go.th"


def test_mozilla_is_told_every_server_the_best_first() -> None:
    root = Xml.fromstring(mozilla(OFFER, "opm.go.th"))
    assert (root.tag, root.get("version")) == ("clientConfig", "1.1")
    assert root.findtext("emailProvider/domain") == "opm.go.th"
    told = [
        (server.get("type"), server.findtext("port"), server.findtext("socketType"))
        for kind in ("incomingServer", "outgoingServer")
        for server in root.iterfind(f"emailProvider/{kind}")
    ]
    assert told == [
        ("imap", "993", "SSL"),
        ("imap", "143", "STARTTLS"),
        ("pop3", "995", "SSL"),
        ("smtp", "465", "SSL"),
        ("smtp", "587", "STARTTLS"),
    ]
    for server in root.iterfind("emailProvider/*[hostname]"):
        assert server.findtext("hostname") == "mail.example.org"
        assert server.findtext("username") == "%EMAILADDRESS%"


def test_outlook_is_told_imap_and_smtp() -> None:
    root = Xml.fromstring(pox(OFFER, ADDRESS))
    space = {"o": OUTLOOK}
    account = root.find("o:Response/o:Account", space)
    assert account is not None
    assert account.findtext("o:Action", "", space) == "settings"
    told = [
        [
            protocol.findtext(f"o:{name}", "", space)
            for name in ("Type", "Server", "Port", "Encryption", "LoginName")
        ]
        for protocol in account.iterfind("o:Protocol", space)
    ]
    assert told == [
        ["IMAP", "mail.example.org", "993", "SSL", ADDRESS],
        ["SMTP", "mail.example.org", "465", "SSL", ADDRESS],
    ]


REQUEST = (
    '<?xml version="1.0"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/'
    'requestschema/2006"><Request><EMailAddress>{}</EMailAddress><AcceptableResponseSchema>{}'
    "</AcceptableResponseSchema></Request></Autodiscover>"
)
REQUESTS = [
    (REQUEST.format("suda@opm.go.th", OUTLOOK), "suda@opm.go.th"),
    (REQUEST.format(" a&amp;b@opm.go.th ", OUTLOOK), "a&b@opm.go.th"),
    # ActiveSync is asked for: that is another protocol.
    (
        REQUEST.format(
            "suda@opm.go.th",
            OUTLOOK.replace("outlook/responseschema/2006a", "mobilesync/responseschema/2006"),
        ),
        None,
    ),
    ("", None),
    ("<EMailAddress></EMailAddress>", None),
    # Entities are not followed.
    ('<!DOCTYPE a [<!ENTITY e "x@opm.go.th">]><EMailAddress>&e;</EMailAddress>', "&e;"),
]


@pytest.mark.parametrize(("request_", "address"), REQUESTS)
def test_outlooks_request_names_an_address(request_: str, address: str | None) -> None:
    assert address_in(request_.encode()) == address


def test_autodiscover_v2_says_where_v1_is() -> None:
    status, octets = where(OFFER, "AutodiscoverV1")
    told = json.loads(octets)
    assert (status, told["Url"]) == (200, "https://mail.example.org:8443/autodiscover/autodiscover.xml")
    status, octets = where(OFFER, "ActiveSync")
    assert (status, json.loads(octets)["ErrorCode"]) == (400, "ProtocolNotSupported")


def test_apple_gets_a_profile_that_replaces_its_predecessor() -> None:
    octets = profile(OFFER, ADDRESS)
    assert octets is not None
    whole = plistlib.loads(octets)
    (account,) = whole["PayloadContent"]
    assert whole["PayloadType"] == "Configuration"
    assert account["EmailAccountType"] == "EmailTypeIMAP"
    assert (account["IncomingMailServerPortNumber"], account["OutgoingMailServerPortNumber"]) == (993, 465)
    assert account["IncomingMailServerUsername"] == account["EmailAddress"] == ADDRESS
    assert whole["PayloadUUID"] != account["PayloadUUID"]
    assert profile(OFFER, ADDRESS) == octets
    assert plistlib.loads(profile(OFFER, "x@opm.go.th") or b"")["PayloadUUID"] != whole["PayloadUUID"]
    assert profile(NOTHING, ADDRESS) is None


def test_the_records_of_a_domain() -> None:
    assert records(OFFER, "opm.go.th") == [
        Record("opm.go.th.", "MX", "10 mail.example.org."),
        Record("_imaps._tcp.opm.go.th.", "SRV", "0 1 993 mail.example.org."),
        Record("_imap._tcp.opm.go.th.", "SRV", "10 1 143 mail.example.org."),
        Record("_pop3s._tcp.opm.go.th.", "SRV", "20 1 995 mail.example.org."),
        Record("_pop3._tcp.opm.go.th.", "SRV", "0 0 0 ."),  # RFC 6186 §3.4: it is not offered
        Record("_submissions._tcp.opm.go.th.", "SRV", "40 1 465 mail.example.org."),
        Record("_submission._tcp.opm.go.th.", "SRV", "50 1 587 mail.example.org."),
        Record("_autodiscover._tcp.opm.go.th.", "SRV", "0 1 8443 mail.example.org."),
        Record("autoconfig.opm.go.th.", "CNAME", "mail.example.org."),
        Record("autodiscover.opm.go.th.", "CNAME", "mail.example.org."),
    ]
