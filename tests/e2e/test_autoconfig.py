"""Mail programs find their settings at a running gateway, and sign in where those say."""

import imaplib
import json
import plistlib
import ssl
import urllib.error
import urllib.request
from xml.etree import ElementTree as Xml

import pytest

from tests.e2e.gateway import Gateway
from tests.e2e.load import host_and_port


def fetched(gateway: Gateway, path: str, body: str | None = None) -> bytes:
    url = f"http://{gateway.address('http')}{path}"
    data = None if body is None else body.encode()
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=30) as answer:
        return bytes(answer.read())


def refused(gateway: Gateway, path: str, body: str | None = None) -> int:
    with pytest.raises(urllib.error.HTTPError) as error:
        fetched(gateway, path, body)
    error.value.close()
    return error.value.code


@pytest.mark.parametrize(
    "path",
    [
        "/mail/config-v1.1.xml?emailaddress={}",
        "/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress={}",
    ],
)
def test_thunderbird_finds_where_it_can_sign_in(gateway: Gateway, path: str) -> None:
    account = gateway.ready["demo_accounts"][0]
    root = Xml.fromstring(fetched(gateway, path.format(account["address"])))
    server = root.find("emailProvider/incomingServer")
    assert server is not None
    assert (server.get("type"), server.findtext("socketType")) == ("imap", "SSL")
    port = int(server.findtext("port") or 0)
    assert port == host_and_port(gateway.address("imaps"))[1]
    trust = ssl.create_default_context(cafile=gateway.ready["ca_file"])
    trust.check_hostname = False  # the name in the certificate is resolved by nobody here
    with imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=trust) as client:
        assert client.login(account["address"], account["password"])[0] == "OK"


def test_nobodys_domain_is_told_nothing_and_every_address_of_ours_the_same(gateway: Gateway) -> None:
    path = "/mail/config-v1.1.xml?emailaddress="
    assert refused(gateway, f"{path}ann@example.org") == 404
    assert refused(gateway, f"{path}nonsense") == 404
    known = gateway.ready["demo_accounts"][0]["address"]
    unknown = f"nobody.at.all@{known.partition('@')[2]}"
    assert fetched(gateway, path + known) == fetched(gateway, path + unknown)


def test_outlook_and_iphone_find_their_settings(gateway: Gateway) -> None:
    address = gateway.ready["demo_accounts"][0]["address"]
    asked = f"<Autodiscover><Request><EMailAddress>{address}</EMailAddress></Request></Autodiscover>"
    for path in ("/autodiscover/autodiscover.xml", "/Autodiscover/Autodiscover.xml"):
        assert f"<LoginName>{address}</LoginName>" in fetched(gateway, path, asked).decode()
    assert refused(gateway, path) == 405
    assert refused(gateway, path, "<EMailAddress>ann@example.org</EMailAddress>") == 404
    assert refused(gateway, path, "x" * 20_000) == 413
    told = json.loads(
        fetched(gateway, f"/autodiscover/autodiscover.json/v1.0/{address}?Protocol=AutodiscoverV1")
    )
    assert told["Url"].endswith("/autodiscover/autodiscover.xml")
    profile = plistlib.loads(fetched(gateway, f"/email.mobileconfig?email={address}"))
    assert profile["PayloadContent"][0]["EmailAddress"] == address


def test_the_records_of_an_agency_are_printed(gateway: Gateway) -> None:
    agency = next(row for row in gateway.cli("agency", "list") if "opm.go.th" in row["domains"])
    told = gateway.cli("agency", "dns", agency["agency_id"])
    port = host_and_port(gateway.address("imaps"))[1]
    assert {
        "name": "_imaps._tcp.opm.go.th.",
        "type": "SRV",
        "value": f"0 1 {port} mail.saraban.example.",
    } in told
