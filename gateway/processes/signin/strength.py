"""Which passwords may be set, and in which form.

Source: NIST SP 800-63B-4 §3.1.1.2: a length, a list of what everybody tries first, the person's own name; no
rule about kinds of characters.
"""

from collections.abc import Iterable
from typing import Final

from gateway.domain.registration import Refused
from gateway.mail.address import Address
from gateway.processes.signin.app_passwords import has_shape
from gateway.processes.signin.passwords import PASSWORD_CHARACTERS_MIN
from gateway.protocols.sasl.exchange import BadResponse, prepare_password

PASSWORD_CHARACTERS_MAX: Final = 256  # of what one types or a manager makes

# What is tried first, as far as it is long enough, in lower case.
_COMMONEST: Final = """
123456789012 1234567890123 12345678901234 123456789123 1234567891234 12345678910111 123123123123
123412341234 121212121212 112233445566 123321123321 987654321098 987654321987 012345678901
098765432109 password1234 password12345 password123456 password123! passwordpassword p@ssw0rd1234
p@ssw0rd123! p@ssword1234 passw0rd1234 password@123 password@1234 password2024 password2025
password2026 qwertyuiop12 qwertyuiop123 qwertyuiop1234 qwertyuiop[] qwerty123456 qwerty1234567
qwertyqwerty qwertyuiopasdfghjkl qwertyuiopasdf asdfghjkl123 asdfghjkl1234 asdfghjklzxcvbnm
zxcvbnm12345 1qaz2wsx3edc 1qaz2wsx3edc4rfv 1q2w3e4r5t6y 1q2w3e4r5t6y7u8i zaq12wsxcde3 zaq1zaq1zaq1
q1w2e3r4t5y6 qazwsxedcrfv qazwsxedc123 abcdefghijkl abcdefghijklm abcd12345678 abcdef123456
abc123abc123 abc123456789 a1b2c3d4e5f6 aa1234567890 iloveyou1234 iloveyouforever administrator
administrator1 admin1234567 admin12345678 adminadmin12 administration changeme1234 changemechangeme
letmeinletmein welcome12345 welcome123456 welcome@1234 thailand1234 thailand2025 thailand2026
bangkok12345 bangkok123456 sawasdee1234 sawatdee1234 footballfootball liverpool123 liverpool1234
manchester12 manchesterunited chelsea12345 princess1234 superman1234 trustno1trustno1
correcthorsebatterystaple
"""
COMMONEST: Final = frozenset(_COMMONEST.split())


def settable(typed: str, addresses: Iterable[Address]) -> str:
    """A password that may be set, in the form that is hashed. addresses: the person's.

    Raises Refused with the reason when it is too weak, or cannot be typed everywhere.
    """
    try:
        password = prepare_password(typed)
    except BadResponse as error:
        raise Refused(str(error)) from error
    if weak := _weakness(password, addresses):
        raise Refused(weak)
    return password


def _weakness(password: str, addresses: Iterable[Address]) -> str:
    """Why it may not be set, in a sentence; "" when it may."""
    if len(password) < PASSWORD_CHARACTERS_MIN:
        return f"a password has at least {PASSWORD_CHARACTERS_MIN} characters"
    if len(password) > PASSWORD_CHARACTERS_MAX:
        return f"a password has at most {PASSWORD_CHARACTERS_MAX} characters"
    if not password.isprintable():
        return "a password has no line break or other control character"
    if has_shape(password):
        return "a password does not look like an app password"
    folded = password.strip().casefold()
    if folded in COMMONEST or len(set(folded)) <= 2:
        return "this password is one of the first that anybody would try"
    for address in addresses:
        if folded in (str(address).casefold(), address.local_part.casefold()):
            return "a password is not one's own address"
    return ""
