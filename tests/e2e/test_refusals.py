"""Two of a thing where one may be, and what is not there: one sentence, an exit code, nothing in the log."""

from typing import Any

import pytest

from tests.e2e.gateway import CommandFailed, Gateway

REFUSED = [
    ("agency add Again --domain opm.go.th", 1, "opm.go.th belongs to an agency already"),
    ("agency add None", 2, "--domain"),
    (
        "account add malee@opdc.go.th --name x --password for-tests-alone",
        1,
        "malee@opdc.go.th is given out already",
    ),
    ("account add MALEE@OPDC.go.th --name x --password for-tests-alone", 1, "is given out already"),
    ("account add ann@nowhere.example --name x --password for-tests-alone", 1, "nowhere.example"),
    ("account add big@opm.go.th --name x --quota 999999999999999T", 1, "a quota is from 1 octet to 1024T"),
    ("account list --agency ag_nope", 3, "ag_nope"),
    ("alias add malee@opdc.go.th --of saraban@opdc.go.th", 1, "malee@opdc.go.th is given out already"),
    ("alias add x@opm.go.th --of malee@opdc.go.th", 1, "opm.go.th does not belong to"),
    ("alias add x@opdc.go.th --of nobody@opdc.go.th", 3, "nobody@opdc.go.th is no account here"),
    ("alias add x@opdc.go.th", 2, "--of"),
    ("alias remove malee@opdc.go.th", 2, "say --yes"),
    ("alias remove malee@opdc.go.th --yes", 1, "no alias"),
    ("alias remove nobody@opdc.go.th --yes", 3, "nobody@opdc.go.th is no account here"),
    ("alias list --of nobody@opdc.go.th", 3, "nobody@opdc.go.th"),
    ("account suspend malee@opdc.go.th --reason x", 2, "say --yes"),
    ("account suspend malee@opdc.go.th --yes", 2, "--reason"),
    ("account suspend nobody@opdc.go.th --reason x --yes", 3, "nobody@opdc.go.th is no account here"),
    ("account activate malee@opdc.go.th --reason x", 1, "is active already"),
    ("account close nobody@opdc.go.th --reason x --yes", 3, "nobody@opdc.go.th is no account here"),
    ("agency suspend ag_00000000000000000000000000 --reason x --yes", 3, "there is no agency ag_0"),
    ("agency suspend opm.go.th --reason x --yes", 3, "there is no agency opm.go.th"),
    ("agency activate nothing --reason x", 3, "there is no agency nothing"),
    ("agency contact nothing --account malee@opdc.go.th", 3, "there is no agency nothing"),
    ("agency contact ag_00000000000000000000000000", 2, "--account"),
    ("agency limits nothing", 3, "there is no agency nothing"),
    ("agency limits ag_00000000000000000000000000 --accounts 5", 3, "there is no agency ag_0"),
    ("agency limits ag_00000000000000000000000000 --message big", 2, "is no size such as 10G"),
    ("events tail --topic nothing.", 3, "nothing."),
    ("events tail -n 0", 2, "0"),
    ("account add nobody --name x --password for-tests-alone", 2, "nobody"),
    ("mailbox list ann@opdc.go.th", 3, "ann@opdc.go.th"),
    ("mailbox export malee@opdc.go.th --uid 999999 --reason test", 3, "999999"),
    ("mailbox export malee@opdc.go.th --uid 1", 2, "--reason"),
    ("trace --mail-id mail_00000000000000000000000000", 3, "no mail"),
    ("trace export --since 2026-11-02 --until 2026-11-01 --format csv --output x", 2, "--until is not after"),
    (
        "trace export --since 2026-11-01 --until 2026-11-02 --format csv --output no/x",
        1,
        "no/x cannot be written",
    ),
    ("events show 99999999", 3, "99999999"),
    ("projection rebuild nothing", 2, "nothing"),
    ("log release 1 --consumer trace", 3, "trace holds nothing at 1"),
]

# What may be appended meanwhile: commands and roles open lanes, and an earlier test's mail is packed.
OF_THE_ROLES = {"lane.opened/1", "lane.closed/1", "content.packed/1", "session.ended/1", "sessions.ended/1"}


@pytest.fixture(scope="module")
def seen(gateway: Gateway) -> list[dict[str, Any]]:
    """The events of the log so far; each test adds those it found."""
    return gateway.events("")


@pytest.mark.parametrize(("command", "code", "said"), REFUSED, ids=[command for command, _, _ in REFUSED])
def test_a_refusal_is_one_sentence_and_changes_nothing(
    gateway: Gateway, seen: list[dict[str, Any]], command: str, code: int, said: str
) -> None:
    with pytest.raises(CommandFailed) as failed:
        gateway.cli_octets(*command.split())
    assert said in failed.value.said
    assert "Traceback" not in failed.value.said
    assert failed.value.code == code, failed.value.said
    added = gateway.events("")[len(seen) :]
    seen += added
    assert {event["topic"] for event in added} <= OF_THE_ROLES
