"""One-time codes of an authenticator, as the second thing an administrator shows.

Source: RFC 6238 (TOTP) §4 (30 s), §5.2 (a code is used once, one step to either side); RFC 4226 §4 (secrets).
"""

import base64
from collections import OrderedDict
from datetime import datetime
from typing import Final

import pyotp

from gateway.mail.address import Address
from gateway.mail.ids import AccountId
from gateway.ports import Entropy

SECRET_OCTETS: Final = 20  # RFC 4226 §4 (R6): 160 bits
STEP_S: Final = 30
USED_MAX: Final = 10_000


def secret_name(account_id: AccountId) -> str:
    """The KeyStore's name of an account's secret; an empty value: it has none any more."""
    return f"totp.{account_id}"


def operator_secret_name(operator: str) -> str:
    """The same of an operator without an account; operator: the user name."""
    return f"totp.operator.{operator}"


def new_secret(entropy: Entropy) -> str:
    """In base32, as authenticators take it."""
    return base64.b32encode(entropy(SECRET_OCTETS)).decode()


def address_of_secret(secret: str, address: Address | str) -> str:
    """`otpauth://totp/…`, what a QR code for an authenticator holds."""
    return pyotp.TOTP(secret).provisioning_uri(name=str(address), issuer_name="Saraban")


class Codes:
    """Checks codes for all sign-ins of one process; one that was used is not taken again."""

    def __init__(self) -> None:
        self._used: OrderedDict[str, int] = OrderedDict()  # the last step, by secret

    def is_right(self, secret: str, code: str, now: datetime) -> bool:
        totp, step = pyotp.TOTP(secret), int(now.timestamp()) // STEP_S
        for each in (step - 1, step, step + 1):
            if each > self._used.get(secret, 0) and pyotp.utils.strings_equal(code, totp.generate_otp(each)):
                self._used[secret] = each
                self._used.move_to_end(secret)
                if len(self._used) > USED_MAX:
                    self._used.popitem(last=False)
                return True
        return False
