"""Histories: which subject of the log a fact belongs to. Subjects here are without `ev.`.

No address, name or anything a peer sent is ever part of a subject: an address is there as an HMAC, a
domain as an A-label that an administrator gave.

Source: architecture §4, Subjects.
"""

from typing import Final

from gateway.domain.sealing import mac
from gateway.mail.address import Address
from gateway.mail.ids import AccountId, MailId, slot_of

CONTENT: Final = "content"
DUE: Final = "due"  # what the steward says has fallen due
SITE_ADDRESS_KEY: Final = "site.address"  # the KeyStore's name of the key that address histories hang on

# Kind of history by the prefix of an aggregate's id.
_KINDS: Final = {"ag": "agency", "acc": "account", "tree": "tree", "list": "list"}

_ACCOUNTS: Final = frozenset({"tree", "list"})  # of an account, and with its id


def mail_history(mail_id: MailId) -> str:
    return f"mail.{slot_of(mail_id)}"


def box_history(account_id: AccountId) -> str:
    return f"box.{slot_of(account_id)}.{account_id}"


def route_history(share: int) -> str:
    return f"route.{share}"


def consumer_history(name: str) -> str:
    return f"consumer.{name}"


def history_of(originator_id: str) -> str:
    """The history of an aggregate: `agency.ag_…`, `account.acc_…`; of tree_… and list_…, `tree.acc_…`."""
    prefix, _, rest = originator_id.partition("_")
    kind = _KINDS[prefix]
    return f"{kind}.acc_{rest}" if kind in _ACCOUNTS else f"{kind}.{originator_id}"


def originator_of(history: str) -> str:
    """The aggregate's id, from its history: the other way round of `history_of`."""
    kind, _, identifier = history.partition(".")
    return kind + identifier.removeprefix("acc") if kind in _ACCOUNTS else identifier


def operator_history() -> str:
    return "operator"


def queue_history() -> str:
    """What is decided about the queue as a whole."""
    return "queue"


def address_name(address: Address, site_key: bytes) -> str:
    """What stands for an address where it may not stand itself. site_key: SITE_ADDRESS_KEY's."""
    return mac(site_key, str(address.normalise()).encode())


def address_history(name: str) -> str:
    """name: of `address_name`."""
    return f"address.{name}"


def domain_history(domain: str) -> str:
    """One token, so that a subject has as many tokens whatever the domain. domain: A-labels, lower case."""
    return f"domain.{domain.replace('.', '%2E')}"
