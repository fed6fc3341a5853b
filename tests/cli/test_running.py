"""Commands about a gateway that does not run, and about its files: sentences, JSON and exit codes."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import FAMILIES, main
from gateway.cli.logfiles import follow
from gateway.processes.up.folder import claim


def saraban(*arguments: str | Path, data: Path) -> Result:
    return CliRunner().invoke(main, ["--data", str(data), *map(str, arguments)], prog_name="saraban")


@pytest.mark.parametrize("name", FAMILIES)
def test_every_command_has_help_with_an_example(name: str, tmp_path: Path) -> None:
    shown = saraban(name, "--help", data=tmp_path)
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.count("saraban ") >= 2  # the usage line is one


def test_without_a_gateway_status_says_how_to_start_one(tmp_path: Path) -> None:
    told = saraban("status", data=tmp_path)
    assert told.exit_code == 1
    assert told.stderr == (
        f"saraban: no gateway runs on the data folder {tmp_path}: start one with `saraban up`\n"
    )
    assert told.stdout == ""


def test_json_and_data_may_stand_after_the_command(tmp_path: Path) -> None:
    told = CliRunner().invoke(main, ["status", "--json", "--data", str(tmp_path)])
    assert told.exit_code == 1
    assert str(tmp_path) in json.loads(told.stderr)["error"]


def test_a_wrong_setting_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SARABAN_EDGES", "many")
    told = saraban("up", data=tmp_path)
    assert told.exit_code == 1
    assert told.stderr == "saraban: SARABAN_EDGES is 'many', expected a whole number from 1 to 64\n"


def test_authorities_that_cannot_be_used_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SARABAN_RELAY_CA_FILE", str(tmp_path / "ca.pem"))
    told = saraban("up", "--ports", "ephemeral", data=tmp_path / "data")
    assert told.exit_code == 1
    assert told.stderr == (
        f"saraban: the authorities in {tmp_path}/ca.pem (SARABAN_RELAY_CA_FILE) cannot be used: "
        "No such file or directory\n"
    )


def test_up_refuses_a_folder_in_use(tmp_path: Path) -> None:
    with claim(tmp_path):
        told = saraban("up", data=tmp_path)
    assert told.exit_code == 1
    assert "is in use by process" in told.stderr


def test_reset_asks_and_then_removes_all_but_the_settings(tmp_path: Path) -> None:
    with claim(tmp_path):
        (tmp_path / "saraban.toml").touch()
    refused = saraban("reset", data=tmp_path)
    assert refused.exit_code == 1
    assert (tmp_path / "format").exists()
    done = saraban("--json", "reset", "--yes", data=tmp_path)
    assert done.exit_code == 0
    assert set(json.loads(done.stdout)["removed"]) == {"logs", "run", "secrets", "tls"}
    assert not (tmp_path / "format").exists()
    assert (tmp_path / "saraban.toml").exists()


def test_logs_shows_the_last_lines_of_one_role_or_of_all(tmp_path: Path) -> None:
    assert saraban("logs", data=tmp_path).exit_code == 3
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "edge.log").write_text("".join(f"จดหมาย {n}\n" for n in range(5)))
    (tmp_path / "logs" / "nats.log").write_text("started\n")
    assert saraban("logs", "edge", "-n", "2", data=tmp_path).stdout == "จดหมาย 3\nจดหมาย 4\n"
    assert saraban("logs", "-n", "1", data=tmp_path).stdout == "edge: จดหมาย 4\nnats: started\n"
    assert saraban("logs", "router", data=tmp_path).exit_code == 3


def test_ca_export_prints_or_writes_the_authority(tmp_path: Path) -> None:
    assert saraban("ca", "export", data=tmp_path).exit_code == 3
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "ca.pem").write_text("PEM\n")
    assert saraban("ca", "export", data=tmp_path).stdout == "PEM\n"
    assert saraban("ca", "export", "--output", tmp_path / "out.pem", data=tmp_path).exit_code == 0
    assert (tmp_path / "out.pem").read_text() == "PEM\n"
    unwritable = saraban("ca", "export", "--output", tmp_path / "none" / "out.pem", data=tmp_path)
    assert unwritable.exit_code == 1
    assert "No such file or directory" in unwritable.stderr


def test_follow_gives_whole_lines_that_are_added(tmp_path: Path) -> None:
    log = tmp_path / "edge.log"
    log.write_text("old\n")
    added = iter(["new li", "ne\nand", " another\n"])  # one piece between two looks

    def add() -> None:
        with log.open("a") as file:
            file.write(next(added))

    lines = follow([log], pause=add)
    assert next(lines) == (log, "new line")
    assert next(lines) == (log, "and another")
