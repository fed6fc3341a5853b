"""A configuration profile for Mail on iPhone, iPad and Mac: opened, it sets up the account but the password.

Source: Apple, "Configuration Profile Reference", Email Payload (com.apple.mail.managed).
"""

import hashlib
import plistlib
from typing import Any, Final

from gateway.protocols.autoconfig.offer import Offer

PATH: Final = "/email.mobileconfig"
MEDIA_TYPE: Final = "application/x-apple-aspen-config"


def profile(offer: Offer, address: str) -> bytes | None:
    """For one address; None: people cannot read and send here. The same address has the same profile, so that
    a newer one takes the place of the older."""
    incoming, outgoing = offer.best("imap") or offer.best("pop3"), offer.best("smtp")
    if incoming is None or outgoing is None:
        return None
    account = _payload(offer, address, "com.apple.mail.managed", "account") | {
        "EmailAccountType": "EmailTypeIMAP" if incoming.protocol == "imap" else "EmailTypePOP",
        "EmailAccountDescription": address,
        "EmailAddress": address,
        "IncomingMailServerHostName": offer.hostname,
        "IncomingMailServerPortNumber": incoming.port,
        "IncomingMailServerUseSSL": True,
        "IncomingMailServerUsername": address,
        "IncomingMailServerAuthentication": "EmailAuthPassword",
        "OutgoingMailServerHostName": offer.hostname,
        "OutgoingMailServerPortNumber": outgoing.port,
        "OutgoingMailServerUseSSL": True,
        "OutgoingMailServerUsername": address,
        "OutgoingMailServerAuthentication": "EmailAuthPassword",
        "OutgoingPasswordSameAsIncomingPassword": True,
    }
    whole = _payload(offer, address, "Configuration", "profile") | {
        "PayloadContent": [account],
        "PayloadRemovalDisallowed": False,
    }
    return plistlib.dumps(whole)


def _payload(offer: Offer, address: str, kind: str, part: str) -> dict[str, Any]:
    digest = hashlib.sha256(f"{offer.hostname} {address} {part}".encode()).hexdigest()
    number = "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))
    backwards = ".".join(reversed(offer.hostname.split(".")))
    return {
        "PayloadType": kind,
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{backwards}.{digest[:16]}.{part}",
        "PayloadUUID": number.upper(),
        "PayloadDisplayName": address,
    }
