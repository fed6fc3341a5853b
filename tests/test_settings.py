"""Settings: what is wrong is named, with its value and what was expected."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from gateway.settings import Settings, SettingsError, load, split_address, split_networks, split_servers

GATEWAY = Path(__file__).parents[1] / "gateway"
CASES = sorted((Path(__file__).parent / "golden" / "settings").glob("*.txt"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_a_wrong_setting_is_named(case: Path, tmp_path: Path) -> None:
    given, _, expected = case.read_text(encoding="utf-8").rstrip("\n").partition("\n=> ")
    environment = {"SARABAN_DATA": str(tmp_path)}
    if given.startswith("saraban.toml: "):
        (tmp_path / "saraban.toml").write_text(given.removeprefix("saraban.toml: "), encoding="utf-8")
    else:
        name, _, value = given.partition("=")
        environment[name] = value
    with pytest.raises(SettingsError) as refused:
        load(environment)
    assert str(refused.value) == expected


def test_the_environment_is_stronger_than_the_file_and_the_command_line_stronger_still(
    tmp_path: Path,
) -> None:
    (tmp_path / "saraban.toml").write_text('edges = 2\nhostname = "a.example"\nrouter_shares = 3\n')
    settings = load(
        {"SARABAN_EDGES": "4", "SARABAN_HOSTNAME": "b.example"}, data=tmp_path, hostname="c.example"
    )
    assert (settings.router_shares, settings.edges, settings.hostname) == (3, 4, "c.example")


def test_a_child_reads_back_what_its_parent_had(tmp_path: Path) -> None:
    settings = Settings(
        data=tmp_path, demo=True, nats_url="nats://u:p@127.0.0.1:1", tls_cert=Path("a"), edges=3
    )
    assert load(settings.environment) == settings


@pytest.mark.parametrize("name", [field.name for field in fields(Settings)])
def test_every_setting_does_something(name: str) -> None:
    sources = [path for path in GATEWAY.rglob("*.py") if path != GATEWAY / "settings.py"]
    assert any(re.search(rf"settings\.{name}\b", path.read_text(encoding="utf-8")) for path in sources)


def test_other_programs_variables_are_not_ours() -> None:
    assert load({"PATH": "/bin", "SARABAN_TEST_SIZE": "full", "SARABAN_READY_FD": "7"}) == Settings()


def test_secrets_are_neither_shown_nor_part_of_the_digest() -> None:
    settings = Settings(
        nats_url="nats://edge:geheim@127.0.0.1:1", postgres_dsn="geheim", s3_secret_key="geheim"
    )
    assert "geheim" not in repr(settings)
    assert settings.digest == Settings().digest
    assert settings.digest != Settings(edges=2).digest


def test_splits_addresses() -> None:
    assert split_address("127.0.0.1:25") == ("127.0.0.1", 25)
    assert split_address("[::1]:2525") == ("::1", 2525)


def test_splits_networks() -> None:
    assert split_networks("192.0.2.0/24,2001:db8::/32") == split_networks(" 192.0.2.0/24 2001:db8::/32, ")
    assert split_networks("") == []


def test_splits_servers() -> None:
    assert split_servers("192.0.2.53, 2001:db8::53 [2001:db8::53]:5353") == [
        ("192.0.2.53", 53),
        ("2001:db8::53", 53),
        ("2001:db8::53", 5353),
    ]
    assert split_servers("") == []
