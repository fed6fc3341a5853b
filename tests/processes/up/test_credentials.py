"""Passwords of the embedded servers: made once, kept, and made for users a newer build has."""

import json
from pathlib import Path

from gateway.processes.up.credentials import NATS_USERS, Credentials


def test_they_stay_what_they_were(tmp_path: Path) -> None:
    file = tmp_path / "credentials.json"
    made = Credentials.kept_in(file)
    assert made.nats.keys() == set(NATS_USERS)
    assert Credentials.kept_in(file) == made
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_user_of_a_newer_build_gets_one_and_the_others_keep_theirs(tmp_path: Path) -> None:
    file = tmp_path / "credentials.json"
    made = Credentials.kept_in(file)
    written = json.loads(file.read_text())
    del written["nats"]["pop3"]
    file.write_text(json.dumps(written))
    again = Credentials.kept_in(file)
    assert again.nats.keys() == set(NATS_USERS)
    assert {user: again.nats[user] for user in written["nats"]} == written["nats"]
    assert again.s3_secret_key == made.s3_secret_key
    assert Credentials.kept_in(file) == again
