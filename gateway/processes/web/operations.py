"""Everything the API does, one row each: routes and the OpenAPI description are made from this table."""

from http import HTTPStatus
from typing import Final

from gateway.domain.agency import Limits
from gateway.processes.web import (
    accounts,
    agencies,
    app_passwords,
    bans,
    bodies,
    credentials,
    domains,
    forwarding,
    identity,
    importing,
    lists,
    signing_in,
    status,
    tracing,
)
from gateway.processes.web.office import Operation

PREFIX: Final = "/api/v1"
CREATED: Final = HTTPStatus.CREATED

_AGENCY: Final = "/agencies/{agency_id}"
_ACCOUNT: Final = "/accounts/{address}"

OPERATIONS: Final = (
    Operation("GET", "/me", "Who holds the token, and what it may do.", signing_in.me, bodies.Me, right=None),
    # --- agencies
    Operation(
        "GET",
        "/agencies",
        "The agencies one may see, by name.",
        agencies.list_agencies,
        bodies.AgencyList,
    ),
    Operation(
        "POST",
        "/agencies",
        "Register an agency and claim its domains.",
        agencies.add_agency,
        bodies.AgencyMade,
        bodies.NewAgency,
        status=CREATED,
        right="govern",
    ),
    Operation(
        "GET", _AGENCY, "An agency: its domains, status and trial.", agencies.show_agency, bodies.Agency
    ),
    Operation(
        "PUT",
        f"{_AGENCY}/name",
        "Give an agency another name; its domains and addresses stay.",
        agencies.rename_agency,
        bodies.AgencyNamed,
        bodies.NewName,
    ),
    Operation(
        "POST",
        f"{_AGENCY}/suspend",
        "Let none of an agency's accounts sign in or send; their mail still comes in.",
        agencies.suspend_agency,
        bodies.AgencyChanged,
        bodies.Reason,
    ),
    Operation(
        "POST",
        f"{_AGENCY}/activate",
        "Undo suspend: each of its accounts is what it is by itself again; end a trial: it is here for good.",
        agencies.activate_agency,
        bodies.AgencyChanged,
        bodies.Reason,
    ),
    Operation(
        "POST",
        f"{_AGENCY}/trial",
        "Let a trial end later; one that has ended goes on.",
        agencies.extend_trial,
        bodies.TrialExtended,
        bodies.TrialLonger,
    ),
    Operation("GET", f"{_AGENCY}/limits", "What an agency may use.", agencies.show_limits, Limits),
    Operation(
        "PATCH",
        f"{_AGENCY}/limits",
        "Change what an agency may use: all that holds then.",
        agencies.set_limits,
        Limits,
        bodies.LimitsChange,
    ),
    Operation(
        "PUT",
        f"{_AGENCY}/contact",
        "Say who answers for an agency.",
        agencies.set_contact,
        bodies.ContactSet,
        bodies.Contact,
    ),
    Operation(
        "PUT",
        f"{_AGENCY}/catch-all",
        "Say who gets mail to addresses that nobody ever had, or that it is refused.",
        agencies.set_catch_all,
        bodies.CatchAllSet,
        bodies.CatchAll,
    ),
    Operation(
        "PUT",
        f"{_AGENCY}/plus-addressing",
        "Say whether name+tag@ is name@.",
        agencies.set_plus_addressing,
        bodies.PlusAddressingSet,
        bodies.PlusAddressing,
    ),
    # --- domains
    Operation("GET", f"{_AGENCY}/domains", "An agency's domains.", domains.list_domains, bodies.DomainList),
    Operation(
        "POST",
        f"{_AGENCY}/domains",
        "Give an agency a further domain, with addresses of its own.",
        domains.add_domain,
        bodies.DomainChanged,
        bodies.NewDomain,
        status=CREATED,
    ),
    Operation(
        "POST",
        f"{_AGENCY}/domains/{{domain}}/replace",
        "Call all addresses of a domain by another one; they are reached by both.",
        domains.replace_domain,
        bodies.DomainChanged,
        bodies.NewDomainName,
    ),
    Operation(
        "POST",
        f"{_AGENCY}/domains/{{domain}}/move",
        "Give another agency a domain and the accounts in it; their roles in this one end.",
        domains.move_domain,
        bodies.DomainsMoved,
        bodies.DomainMove,
    ),
    Operation(
        "DELETE",
        f"{_AGENCY}/domains/{{domain}}",
        "Take a domain without addresses away from an agency.",
        domains.remove_domain,
        bodies.DomainChanged,
    ),
    # --- accounts
    Operation(
        "GET",
        "/accounts",
        "The accounts one may see, oldest first, or those with a text in address, alias or name.",
        accounts.list_accounts,
        bodies.AccountList,
        query=bodies.AccountsWanted,
    ),
    Operation(
        "POST",
        "/accounts",
        "Give an address to a new account with an INBOX; the agency is that of the domain.",
        accounts.add_account,
        bodies.AccountMade,
        bodies.NewAccount,
        status=CREATED,
    ),
    Operation(
        "GET", _ACCOUNT, "The account an address belongs to.", accounts.show_account, bodies.AccountShown
    ),
    Operation(
        "POST",
        f"{_ACCOUNT}/suspend",
        "Let nobody sign in to an account; its mail still comes in.",
        accounts.suspend_account,
        bodies.AccountChanged,
        bodies.Reason,
    ),
    Operation(
        "POST",
        f"{_ACCOUNT}/activate",
        "Undo suspend or close. After close its aliases and roles have to be added again.",
        accounts.activate_account,
        bodies.AccountChanged,
        bodies.Reason,
    ),
    Operation(
        "POST",
        f"{_ACCOUNT}/close",
        "Let nobody sign in to an account, and refuse mail to all its addresses. What it has stays.",
        accounts.close_account,
        bodies.AccountChanged,
        bodies.Reason,
    ),
    # --- forwarding
    Operation(
        "GET", f"{_ACCOUNT}/forwarding", "Where an account's mail goes.", forwarding.show, bodies.Forwarding
    ),
    Operation(
        "PUT",
        f"{_ACCOUNT}/forwarding",
        "Let an account's mail go to other addresses, as far as its agency's policy allows.",
        forwarding.put,
        bodies.ForwardingChanged,
        bodies.ForwardingRule,
    ),
    Operation(
        "DELETE",
        f"{_ACCOUNT}/forwarding",
        "Let an account's mail come into its mailbox and nowhere else.",
        forwarding.remove,
        bodies.ForwardingChanged,
    ),
    Operation(
        "GET",
        "/me/forwarding",
        "Where one's own mail goes.",
        forwarding.show_mine,
        bodies.Forwarding,
        right=None,
    ),
    Operation(
        "PUT",
        "/me/forwarding",
        "Let one's own mail go to other addresses, as far as one's agency allows.",
        forwarding.put_mine,
        bodies.ForwardingChanged,
        bodies.ForwardingRule,
        right=None,
    ),
    Operation(
        "DELETE",
        "/me/forwarding",
        "Let one's own mail come into the mailbox and nowhere else.",
        forwarding.remove_mine,
        bodies.ForwardingChanged,
        right=None,
    ),
    Operation(
        "GET",
        f"{_AGENCY}/forwarding",
        "Where an agency's accounts may forward their mail.",
        forwarding.show_policy,
        bodies.ForwardingPolicyOf,
    ),
    Operation(
        "PUT",
        f"{_AGENCY}/forwarding",
        "Say where an agency's accounts may forward. Rules that go further stay and stop working.",
        forwarding.set_policy,
        bodies.ForwardingPolicyOf,
        bodies.ForwardingPolicyChange,
    ),
    # --- aliases
    Operation(
        "GET",
        "/aliases",
        "The aliases one may see, with the accounts they belong to.",
        accounts.list_aliases,
        bodies.AliasList,
        query=bodies.AliasesWanted,
    ),
    Operation(
        "POST",
        "/aliases",
        "Give an account a further address, in a domain of its agency.",
        accounts.add_alias,
        bodies.AliasChanged,
        bodies.NewAlias,
        status=CREATED,
    ),
    Operation(
        "DELETE",
        "/aliases/{address}",
        "Take an alias away; it rests for 180 days.",
        accounts.remove_alias,
        bodies.AliasChanged,
    ),
    # --- roles
    Operation("GET", "/roles", "Who has which role.", accounts.show_roles, bodies.RoleList),
    Operation(
        "POST",
        "/roles/grant",
        "Let somebody administer an agency, or as an operator the whole gateway.",
        accounts.grant_role,
        bodies.RoleChanged,
        bodies.RoleChange,
    ),
    Operation(
        "POST",
        "/roles/revoke",
        "Take a role away from somebody.",
        accounts.revoke_role,
        bodies.RoleChanged,
        bodies.RoleChange,
    ),
    *importing.OPERATIONS,
    *app_passwords.OPERATIONS,
    *lists.OPERATIONS,
    *bans.OPERATIONS,
    *credentials.OPERATIONS,
    *identity.OPERATIONS,
    *tracing.OPERATIONS,
    *status.OPERATIONS,
)
