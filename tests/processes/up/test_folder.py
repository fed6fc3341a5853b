"""The data folder: one sentence for whatever is wrong with it, and nobody else's files are touched."""

import errno
import os
import stat
from pathlib import Path

import pytest

from gateway.processes.up import folder
from gateway.processes.up.children import StartFailed
from gateway.processes.up.folder import claim, is_held, sentence, wipe


def test_folders_it_makes_are_private_and_those_that_were_there_keep_their_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    root = tmp_path / "below" / "data"
    with claim(root):
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [root.parent, *root.iterdir()]}
    assert all(modes[name] == 0o700 for name in ("below", "logs", "run", "secrets", "tls"))
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_folder_in_use_names_its_user(tmp_path: Path) -> None:
    expected = f"the data folder {tmp_path} is in use by process {os.getpid()}"
    with claim(tmp_path), pytest.raises(StartFailed, match=expected), claim(tmp_path):
        raise AssertionError("a second user got in")
    with claim(tmp_path):
        assert (tmp_path / "format").read_text() == "1\n"


@pytest.mark.parametrize("found", ["2", "", "one"])
def test_a_folder_of_another_format_is_refused(tmp_path: Path, found: str) -> None:
    (tmp_path / "format").write_text(found)
    with (
        pytest.raises(StartFailed, match=f"has format '{found}', this build reads format 1"),
        claim(tmp_path),
    ):
        raise AssertionError("it was taken")


def test_data_without_a_format_number_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    with pytest.raises(StartFailed, match="data without a format number"), claim(tmp_path):
        raise AssertionError("it was taken")


def test_a_file_in_the_folders_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(StartFailed, match="data: is not a folder"), claim(tmp_path / "data"):
        raise AssertionError("it was taken")


def test_a_disk_without_room_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "FREE_OCTETS_MIN", 1 << 62)
    with pytest.raises(StartFailed, match=f"the disk of {tmp_path} is full"), claim(tmp_path):
        raise AssertionError("it was taken")
    assert not (tmp_path / "format").exists()


REFUSALS = [
    (
        OSError(errno.ENOSPC, "No space left on device"),
        "the disk of /data is full: make space and start again",
    ),
    (OSError(errno.EDQUOT, "Disk quota exceeded"), "the disk of /data is full: make space and start again"),
    (
        PermissionError(errno.EACCES, "Permission denied", "/data/lock"),
        "the data folder /data cannot be written (/data/lock: Permission denied)",
    ),
    (
        OSError(errno.EROFS, "Read-only file system"),
        "the data folder /data cannot be written (/data: Read-only",
    ),
    (OSError(errno.EIO, "Input/output error", "/data/x"), "/data/x: Input/output error"),
]


@pytest.mark.parametrize(("error", "expected"), REFUSALS)
def test_what_the_system_refuses_is_one_sentence(error: OSError, expected: str) -> None:
    assert sentence(error, Path("/data")).startswith(expected)


def test_wiping_leaves_the_settings_and_asks_for_a_folder_of_ours(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match="is not a data folder of saraban: nothing was removed"):
        wipe(tmp_path)
    outside = tmp_path.parent / "outside"
    outside.mkdir()
    (outside / "letter").touch()
    with claim(tmp_path):
        (tmp_path / "saraban.toml").touch()
        (tmp_path / "nats").mkdir()
        (tmp_path / "elsewhere").symlink_to(outside)
        with pytest.raises(StartFailed, match="in use"):
            wipe(tmp_path)
    assert "nats" in wipe(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"saraban.toml", "lock", "elsewhere"}
    assert (outside / "letter").exists()


def test_a_folder_with_files_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter").touch()
    (tmp_path / "saraban.toml").touch()
    with pytest.raises(StartFailed, match=r"letter.*choose an empty one"), claim(tmp_path):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"saraban.toml", "letter", "lock"}


def test_lost_secrets_are_not_made_anew_beside_data(tmp_path: Path) -> None:
    with claim(tmp_path) as data:
        data.make_master_key()
        data.credentials()
        (tmp_path / "nats").mkdir()
        (tmp_path / "postgres").mkdir()
        data.master_key.unlink()
        with pytest.raises(StartFailed, match=r"master.key is missing: put it back from its copy"):
            data.make_master_key()
        file = data.secrets / "credentials.json"
        file.write_text('{"nats": {}')
        with pytest.raises(StartFailed, match=r"credentials.json is damaged: put it back from its copy"):
            data.credentials()
        file.unlink()
        with pytest.raises(StartFailed, match=r"credentials.json is missing: put it back from its copy"):
            data.credentials()


def test_whether_a_gateway_runs_is_seen_by_its_lock(tmp_path: Path) -> None:
    assert not is_held(tmp_path)
    with claim(tmp_path):
        assert is_held(tmp_path)
    assert not is_held(tmp_path)


def test_the_master_key_is_made_once(tmp_path: Path) -> None:
    with claim(tmp_path) as data:
        data.make_master_key()
        first = data.master_key.read_bytes()
        data.make_master_key()
        assert data.master_key.read_bytes() == first
        assert len(bytes.fromhex(first.decode())) == 32
        assert data.credentials() == data.credentials()
