"""What app passwords are called, for the sign-ins with them; also of those that were revoked since."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from gateway.domain.account import account_key_name
from gateway.domain.app_passwords import AppPasswordMade, AppPasswordSecret, app_password_label
from gateway.domain.events import Event
from gateway.domain.signin import SignIn
from gateway.mail.ids import AccountId
from gateway.ports import Recorded
from projections.keyring import Keys, clear
from projections.readmodel import Rows

KEEP: Final = "INSERT INTO app_password SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING"


async def labels(batch: Sequence[Recorded], rows: Rows, keys: Keys) -> Mapping[str, str]:
    """By id, of those that the sign-ins of a batch were made with. Those made in the batch are kept first."""
    made = [(r.event.app_id, _label(r.event, keys)) for r in batch if isinstance(r.event, AppPasswordMade)]
    if made:
        await rows.execute(KEEP, *map(list, zip(*made, strict=True)))
    used = {r.event.app_id for r in batch if isinstance(r.event, SignIn) and r.event.app_id}
    if not used:
        return {}
    found = await rows.fetch("SELECT app_id, label FROM app_password WHERE app_id = ANY($1)", sorted(used))
    return {row["app_id"]: row["label"] for row in found}


def keys_of(event: Event) -> Iterator[str]:
    if isinstance(event, AppPasswordMade):
        yield account_key_name(AccountId(event.originator_id))


def _label(event: AppPasswordMade, keys: Keys) -> str:
    account_id = AccountId(event.originator_id)
    name, label = account_key_name(account_id), app_password_label(account_id)
    secret = keys.unseal_with(AppPasswordSecret, event.sealed, name, label=label)
    return clear(secret.label) if secret else ""
