"""Who has mailboxes here, and whose domain is whose: folded from the aggregates' events and the claims.

Source: architecture §4 (Subjects, Sealed).
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.domain.account import (
    AccountActivated,
    AccountClosed,
    AccountCreated,
    AccountSecret,
    AccountStatus,
    AccountSuspended,
    ReasonSecret,
    RoleGranted,
    RoleRevoked,
    account_key_name,
    account_label,
    reason_label,
)
from gateway.domain.addresses import (
    AddressClaimed,
    AddressReleased,
    AddressSecret,
    DomainClaimed,
    address_label,
)
from gateway.domain.agency import (
    AgencyActivated,
    AgencyContactSet,
    AgencyCreated,
    AgencyForwardingSet,
    AgencyIdentitySet,
    AgencyLimitsSet,
    AgencyRenamed,
    AgencyStatus,
    AgencySuspended,
    agency_key_name,
)
from gateway.domain.agency_tls import AgencyTlsSet
from gateway.domain.app_passwords import (
    AppPasswordMade,
    AppPasswordRevoked,
    AppPasswordSecret,
    app_password_label,
)
from gateway.domain.catching import AgencyCatchAllSet, AgencyPlusAddressingSet
from gateway.domain.claims import DomainMoved, DomainReleased, DomainReplaced
from gateway.domain.credentials import PasswordSet
from gateway.domain.events import Event
from gateway.domain.forwarding import (
    ForwardingRemoved,
    ForwardingSecret,
    ForwardingSet,
    forwarding_label,
)
from gateway.domain.mailboxtree import TreeCreated
from gateway.domain.route import AgencyRouteSet, AgencyRouteSwitched
from gateway.domain.trial import (
    AgencyClosed,
    AgencyCloseOrdered,
    AgencyExported,
    AgencyExportLacked,
    AgencyTrialEnded,
    AgencyTrialExtended,
)
from gateway.mail.ids import AccountId, AgencyId
from gateway.ports import Recorded
from projections.directory import domains, search
from projections.keyring import Keyring, Keys, clear
from projections.readmodel import ReadModel, Rows

StatusEvent = (
    AgencySuspended
    | AgencyActivated
    | AgencyCloseOrdered
    | AccountSuspended
    | AccountActivated
    | AccountClosed
)
STATUS: Final[dict[type[Event], AccountStatus | AgencyStatus]] = {
    AgencySuspended: "suspended",
    AgencyActivated: "active",
    AgencyCloseOrdered: "closing",
    AccountSuspended: "suspended",
    AccountActivated: "active",
    AccountClosed: "closed",
}
_ACCOUNT_STATUS: Final = """UPDATE account SET status = changed.status, reason = changed.reason
    FROM unnest($1::text[], $2::text[], $3::text[]) AS changed (account_id, status, reason)
    WHERE account.account_id = changed.account_id"""

_AGENCY_IS: Final = r"""UPDATE agency SET said = '{0}', lacking = changed.lacking,
        lacking_named = string_to_array(changed.named, E'\n')
    FROM unnest($1::text[], $2::int[], $3::text[]) AS changed (agency_id, lacking, named)
    WHERE agency.agency_id = changed.agency_id"""

FOLD: Final = {
    AgencyCreated.TOPIC: """INSERT INTO agency SELECT * FROM
        unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::timestamptz[], $6::timestamptz[])
        ON CONFLICT DO NOTHING""",
    **domains.FOLD,
    AccountCreated.TOPIC: """INSERT INTO account SELECT * FROM unnest($1::text[], $2::text[], $3::text[],
        $4::bigint[], $5::text[], $6::text[], $7::timestamptz[]) ON CONFLICT DO NOTHING""",
    TreeCreated.TOPIC: """INSERT INTO inbox SELECT * FROM unnest($1::text[], $2::text[])
        ON CONFLICT DO NOTHING""",
    AgencyRenamed.TOPIC: """UPDATE agency SET name = changed.name,
            former_names = agency.former_names || agency.name
        FROM unnest($1::text[], $2::text[]) AS changed (agency_id, name)
        WHERE agency.agency_id = changed.agency_id""",
    AgencySuspended.TOPIC: """UPDATE agency SET said = 'suspended', reason = changed.reason
        FROM unnest($1::text[], $2::text[], $3::text[]) AS changed (agency_id, status, reason)
        WHERE agency.agency_id = changed.agency_id""",
    # A trial that was suspended is a trial again.
    AgencyActivated.TOPIC: """UPDATE agency SET said = '', reason = changed.reason,
            trial_ends_at = CASE WHEN said = 'suspended' THEN trial_ends_at END,
            trial_closes_at = CASE WHEN said = 'suspended' THEN trial_closes_at END
        FROM unnest($1::text[], $2::text[], $3::text[]) AS changed (agency_id, status, reason)
        WHERE agency.agency_id = changed.agency_id""",
    AgencyTrialExtended.TOPIC: """UPDATE agency SET trial_ends_at = changed.ends_at, trial_closes_at = NULL
        FROM unnest($1::text[], $2::timestamptz[]) AS changed (agency_id, ends_at)
        WHERE agency.agency_id = changed.agency_id""",
    AgencyTrialEnded.TOPIC: """UPDATE agency SET trial_closes_at = changed.closes_at
        FROM unnest($1::text[], $2::timestamptz[]) AS changed (agency_id, closes_at)
        WHERE agency.agency_id = changed.agency_id""",
    AgencyExportLacked.TOPIC: _AGENCY_IS.format("closing"),
    AgencyCloseOrdered.TOPIC: """UPDATE agency SET reason = changed.reason
        FROM unnest($1::text[], $2::text[], $3::text[]) AS changed (agency_id, status, reason)
        WHERE agency.agency_id = changed.agency_id""",
    AgencyExported.TOPIC: _AGENCY_IS.format("closing"),
    AgencyClosed.TOPIC: _AGENCY_IS.format("closed"),
    AgencyContactSet.TOPIC: """UPDATE agency SET contact_id = changed.contact_id
        FROM unnest($1::text[], $2::text[]) AS changed (agency_id, contact_id)
        WHERE agency.agency_id = changed.agency_id""",
    AgencyCatchAllSet.TOPIC: """UPDATE agency SET catch_all_id = changed.catch_all_id
        FROM unnest($1::text[], $2::text[]) AS changed (agency_id, catch_all_id)
        WHERE agency.agency_id = changed.agency_id""",
    AgencyPlusAddressingSet.TOPIC: """UPDATE agency SET plus_addressing = changed.is_on
        FROM unnest($1::text[], $2::boolean[]) AS changed (agency_id, is_on)
        WHERE agency.agency_id = changed.agency_id""",
    AgencyIdentitySet.TOPIC: """UPDATE agency SET issuer = changed.issuer, audience = changed.audience,
            client_id = changed.client_id, claim = changed.claim
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
            AS changed (agency_id, issuer, audience, client_id, claim)
        WHERE agency.agency_id = changed.agency_id""",
    AgencyForwardingSet.TOPIC: """UPDATE agency SET forwarding = changed.policy
        FROM unnest($1::text[], $2::text[]) AS changed (agency_id, policy)
        WHERE agency.agency_id = changed.agency_id""",
    AgencyTlsSet.TOPIC: """UPDATE agency SET tls_use = changed.use, tls_authorities = changed.authorities,
            tls_certificate = changed.certificate, tls_exception_until = changed.exception_until
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
            AS changed (agency_id, use, authorities, certificate, exception_until)
        WHERE agency.agency_id = changed.agency_id""",
    AgencyRouteSet.TOPIC: """UPDATE agency SET route = changed.route, relay_host = changed.host,
            relay_port = changed.port, way = 'main', way_since = NULL
        FROM unnest($1::text[], $2::text[], $3::text[], $4::int[]) AS changed (agency_id, route, host, port)
        WHERE agency.agency_id = changed.agency_id""",
    AgencyRouteSwitched.TOPIC: """UPDATE agency SET way = changed.way, way_since = changed.at
        FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS changed (agency_id, way, at)
        WHERE agency.agency_id = changed.agency_id""",
    AgencyLimitsSet.TOPIC: """UPDATE agency SET accounts_max = changed.accounts,
            recipients_max = changed.recipients, message_octets_max = changed.message,
            attachment_octets_max = changed.attachment, trace_days = changed.trace,
            relay_connections_max = changed.connections, relay_mails_a_minute = changed.mails
        FROM unnest($1::text[], $2::int[], $3::int[], $4::bigint[], $5::bigint[], $6::int[], $7::int[],
            $8::int[])
            AS changed (agency_id, accounts, recipients, message, attachment, trace, connections, mails)
        WHERE agency.agency_id = changed.agency_id""",
    AccountSuspended.TOPIC: _ACCOUNT_STATUS,
    AccountActivated.TOPIC: _ACCOUNT_STATUS,
    AccountClosed.TOPIC: f"""WITH ended AS (DELETE FROM role WHERE account_id = ANY($1::text[])),
            no_rule AS (DELETE FROM forwarding WHERE account_id = ANY($1::text[]))
        {_ACCOUNT_STATUS}""",
    RoleGranted.TOPIC: """INSERT INTO role SELECT * FROM
        unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) ON CONFLICT DO NOTHING""",
    RoleRevoked.TOPIC: """DELETE FROM role USING unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
            AS revoked (account_id, role, agency_id, at)
        WHERE role.account_id = revoked.account_id AND role.role = revoked.role
            AND role.agency_id = revoked.agency_id""",
    # An account that takes back what it had given up was its only owner meanwhile.
    AddressClaimed.TOPIC: """INSERT INTO address
        SELECT claimed.*, true FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[],
            $6::boolean[], $7::timestamptz[]) AS claimed
        ON CONFLICT (name) DO UPDATE SET address = excluded.address, written = excluded.written,
            account_id = excluded.account_id, agency_id = excluded.agency_id, is_alias = excluded.is_alias,
            owner_since = CASE WHEN address.account_id = excluded.account_id THEN address.owner_since
                ELSE excluded.owner_since END,
            is_first = address.is_first AND address.account_id = excluded.account_id,
            released_at = NULL""",
    AddressReleased.TOPIC: """UPDATE address SET released_at = released.at
        FROM unnest($1::text[], $2::timestamptz[]) AS released (name, at)
        WHERE address.name = released.name""",
    # A row of arrays is one text each: unnest would take them apart.
    AppPasswordMade.TOPIC: """INSERT INTO app_password
        SELECT app_id, account_id, label, made_at, expires_at,
            string_to_array(protocols, ' '), string_to_array(networks, ' ')
        FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::text[],
            $7::text[]) AS made (app_id, account_id, label, made_at, expires_at, protocols, networks)
        ON CONFLICT DO NOTHING""",
    ForwardingSet.TOPIC: r"""INSERT INTO forwarding
        SELECT account_id, keeps_copy, string_to_array(targets, E'\n'), set_at, set_by
        FROM unnest($1::text[], $2::boolean[], $3::text[], $4::timestamptz[], $5::text[])
            AS rule (account_id, keeps_copy, targets, set_at, set_by)
        ON CONFLICT (account_id) DO UPDATE SET keeps_copy = excluded.keeps_copy,
            targets = excluded.targets, set_at = excluded.set_at, set_by = excluded.set_by""",
    ForwardingRemoved.TOPIC: """DELETE FROM forwarding WHERE account_id = ANY($1::text[])""",
    AppPasswordRevoked.TOPIC: """DELETE FROM app_password WHERE app_id = ANY($1::text[])""",
    # Told in the history of the agency and not of the account: the time decides, not the wave.
    PasswordSet.TOPIC: """INSERT INTO password
        SELECT DISTINCT ON (account_id) * FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[])
            AS told (account_id, set_at, how, set_by) ORDER BY account_id, set_at DESC, how, set_by
        ON CONFLICT (account_id) DO UPDATE
            SET set_at = excluded.set_at, how = excluded.how, set_by = excluded.set_by
            WHERE password.set_at <= excluded.set_at""",
}


class DirectoryModel(ReadModel):
    name = "directory"
    version = 18  # since agencies have limits of connections and mails to their next hops
    topics = frozenset(FOLD)

    def __init__(self, ring: Keyring) -> None:
        self._ring = ring

    async def keys_for(self, batch: Sequence[Recorded]) -> Keys:
        return await self._ring.fetch_named(name for event in batch for name in _keys_of(event.event))

    async def apply(self, batch: Sequence[Recorded], rows: Rows, keys: Keys) -> None:
        for wave in (wave for stretch in domains.stretches(batch) for wave in _waves(stretch)):
            for topic, events in wave.items():
                values = [_row(event.event, keys) for event in events]
                await rows.execute(FOLD[topic], *map(list, zip(*values, strict=True)))
        await search.fold(batch, rows)


def _waves(batch: Sequence[Recorded]) -> list[dict[str, list[Recorded]]]:
    """The batch as sets by topic: the first event of each history, then the second of each, and so on.

    What happens to one agency, account or address is told in its own history, so only there order matters.
    """
    waves: list[dict[str, list[Recorded]]] = []
    seen: Counter[str] = Counter()
    for event in batch:
        if seen[event.subject] == len(waves):
            waves.append({})
        waves[seen[event.subject]].setdefault(event.topic, []).append(event)
        seen[event.subject] += 1
    return waves


def _row(event: Event, keys: Keys) -> tuple[object, ...]:
    match event:
        case AgencyCreated(originator_id=agency_id, name=name, relay_to=None):
            return agency_id, clear(name), None, None, event.at, event.trial_ends_at
        case AgencyCreated(originator_id=agency_id, name=name, relay_to=hop):
            assert hop is not None, event
            return agency_id, clear(name), hop.host, hop.port, event.at, event.trial_ends_at
        case AgencyTrialExtended():
            return event.originator_id, event.ends_at
        case AgencyTrialEnded():
            return event.originator_id, event.closes_at
        case AgencyExportLacked(lack=lack) | AgencyExported(lack=lack) | AgencyClosed(lack=lack):
            return event.originator_id, lack.messages, "\n".join(lack.named)
        case AgencyRenamed():
            return event.originator_id, clear(event.name)
        case DomainClaimed() | DomainReplaced() | DomainMoved() | DomainReleased():
            return domains.row(event)
        case AccountCreated():
            return _account(event, keys)
        case AgencySuspended() | AgencyActivated() | AgencyCloseOrdered():
            return _status(event, keys)
        case AccountSuspended() | AccountActivated() | AccountClosed():
            return _status(event, keys)
        case AgencyCatchAllSet():
            return event.originator_id, event.account_id
        case AgencyPlusAddressingSet():
            return event.originator_id, event.is_on
        case AgencyContactSet():
            return event.originator_id, event.account_id
        case AgencyIdentitySet(provider=None):
            return event.originator_id, None, None, None, None
        case AgencyIdentitySet():
            assert event.provider is not None, event
            return event.originator_id, *map(clear, msgspec.structs.astuple(event.provider))
        case AgencyForwardingSet():
            return event.originator_id, event.policy
        case AgencyTlsSet(policy=policy):
            pems = clear(policy.authorities), clear(policy.certificate)
            return event.originator_id, policy.use, *pems, policy.exception_until
        case AgencyRouteSet(route=route):
            first, told = route.main[0].hop, msgspec.json.encode(route).decode()
            return event.originator_id, told, clear(first.host), first.port
        case AgencyRouteSwitched():
            return event.originator_id, event.way, event.at
        case ForwardingSet():
            return _forwarding(event, keys)
        case ForwardingRemoved():
            return (event.originator_id,)
        case AgencyLimitsSet():
            return event.originator_id, *msgspec.structs.astuple(event.limits)
        case RoleGranted() | RoleRevoked():
            return event.originator_id, event.role, event.agency_id or "", event.at
        case TreeCreated():
            return event.account_id, event.mailbox_id
        case AddressClaimed():
            return _address(event, keys)
        case AddressReleased():
            return event.name, event.at
        case AppPasswordMade():
            return _app_password(event, keys)
        case AppPasswordRevoked():
            return (event.app_id,)
        case PasswordSet():
            set_by = clear(f"{event.actor.kind} {event.actor.id}".strip())
            return event.account_id, event.at, event.how, set_by
    raise AssertionError(event)


def _address(event: AddressClaimed, keys: Keys) -> tuple[object, ...]:
    name, label = account_key_name(event.account_id), address_label(event.account_id)
    secret = keys.unseal_with(AddressSecret, event.sealed, name, label=label)
    address = clear(secret.address) if secret else None
    written = clear(secret.written) or address if secret else None
    return event.name, address, written, event.account_id, event.agency_id, event.is_alias, event.at


def _account(event: AccountCreated, keys: Keys) -> tuple[object, ...]:
    account_id = AccountId(event.originator_id)
    secret = keys.unseal_with(
        AccountSecret, event.sealed, account_key_name(account_id), label=account_label(account_id)
    )
    return (
        account_id,
        event.agency_id,
        event.kind,
        event.quota_octets,
        clear(secret.address) if secret else "",
        clear(secret.display_name) if secret else "",
        event.at,
    )


def _app_password(event: AppPasswordMade, keys: Keys) -> tuple[object, ...]:
    account_id = AccountId(event.originator_id)
    name, label = account_key_name(account_id), app_password_label(account_id)
    secret = keys.unseal_with(AppPasswordSecret, event.sealed, name, label=label)
    return (
        event.app_id,
        account_id,
        clear(secret.label) if secret else "",
        event.at,
        event.expires_at,
        " ".join(event.protocols),
        " ".join(event.networks),
    )


def _forwarding(event: ForwardingSet, keys: Keys) -> tuple[object, ...]:
    account_id = AccountId(event.originator_id)
    name, label = account_key_name(account_id), forwarding_label(account_id)
    secret = keys.unseal_with(ForwardingSecret, event.sealed, name, label=label)
    targets = "\n".join(map(clear, secret.targets)) if secret else ""
    return account_id, event.keeps_copy, targets, event.at, event.actor.id


def _status(event: StatusEvent, keys: Keys) -> tuple[object, ...]:
    identifier = event.originator_id
    (key_name,) = _keys_of(event)
    secret = keys.unseal_with(ReasonSecret, event.sealed, key_name, label=reason_label(identifier))
    return identifier, STATUS[type(event)], clear(secret.reason) if secret else ""


def _keys_of(event: Event) -> list[str]:
    """The name of the key the event wants opened."""
    match event:
        case AccountCreated() | AccountSuspended() | AccountActivated() | AccountClosed():
            return [account_key_name(AccountId(event.originator_id))]
        case AppPasswordMade() | ForwardingSet():
            return [account_key_name(AccountId(event.originator_id))]
        case AgencySuspended() | AgencyActivated() | AgencyCloseOrdered():
            return [agency_key_name(AgencyId(event.originator_id))]
        case AddressClaimed():
            return [account_key_name(event.account_id)]
    return []
