"""The house stands as architecture.md §3 draws it, and production code uses the libraries it was built on."""

import ast
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"gateway", "projections", "schemas", "tests", "infra", "docs", ".ci"}
FILES = {
    "pyproject.toml", "requirements.lock", "justfile", "just",
    "README.md", "CHANGELOG.md", "LICENSE", ".gitignore",
}  # fmt: skip
# By import name: what the design builds on (architecture.md §4 to §6).
LIBRARIES = ["nats", "eventsourcing", "orjson", "asyncpg", "minio", "tenacity"]
# Packages come from wherever the reader's pip looks; nothing of ours may say where that is.
REGISTRIES = ["pypi" + ".org", "python" + "hosted.org", "npmjs" + ".org", "npmjs" + ".com", "index-" + "url"]
PRODUCTION = sorted([*ROOT.glob("gateway/**/*.py"), *ROOT.glob("projections/**/*.py")])


def tracked() -> list[str]:
    names = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")
    return [name for name in names if name]


def test_the_top_level_holds_only_what_the_blueprint_names() -> None:
    names = tracked()
    assert {name.split("/")[0] for name in names if "/" in name} <= FOLDERS
    assert {name for name in names if "/" not in name} <= FILES


@pytest.mark.parametrize("library", LIBRARIES)
def test_production_code_imports(library: str) -> None:
    assert any(library in imported(file) for file in PRODUCTION)


def imported(file: Path) -> set[str]:
    """The top-level names a module imports."""
    found = set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_no_file_says_where_packages_come_from() -> None:
    for name in tracked():
        octets = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b""
        for registry in REGISTRIES:
            if name == "justfile" and registry.startswith("index"):
                continue  # the recipe `lock` says --no-emit-... there
            assert registry.encode() not in octets, f"{name} names {registry}"


def test_the_lock_has_a_version_and_hashes_for_everything_and_no_address() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    entries = [line for line in lines if line and not line.startswith((" ", "#"))]
    assert len(entries) > 30
    assert all("==" in entry and entry.endswith("\\") for entry in entries)
    assert all(line.strip().startswith("--hash=sha256:") for line in lines if line.startswith(" "))
    assert not any("://" in line for line in lines)


def test_what_the_project_file_asks_for_is_in_the_lock() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    locked = {
        line.split("==")[0] for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line
    }
    names = {wish.replace("=", " ").replace(">", " ").replace("[", " ").split()[0].lower() for wish in wanted}
    assert names <= locked


def test_imports_go_down_only() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).parent / "lint-imports"
    return subprocess.run([tool, "--no-cache"], cwd=root, capture_output=True, text=True, check=False)


# A violation of each contract, planted in a copy of the code: the contract, (importer, imported).
PLANTED = {
    "Rooms form one staircase": ("gateway.mail.ids", "gateway.domain.events"),
    "Adapters know ports and what lies below, nothing else": ("gateway.adapters.s3", "gateway.processes"),
    "Processes do not know adapters": ("gateway.processes.maillog", "gateway.adapters.keys"),
    "Processes meet only in the log, the rows and the content": (
        "gateway.processes.edge.acceptance",
        "gateway.processes.relay.work",
    ),
    "Pure rooms compute only": ("gateway.mail.ids", "time"),
    "Drivers stay in the driver rooms": ("gateway.ports", "nats"),
}


def test_each_import_contract_finds_a_planted_violation(tmp_path: Path) -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert PLANTED.keys() == {contract["name"] for contract in contracts}
    for name in ("gateway", "projections", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, tmp_path / name)
    for importer, imported in PLANTED.values():
        module = tmp_path / f"{importer.replace('.', '/')}.py"
        module.write_bytes(module.read_bytes() + f"\nimport {imported}\n".encode())
    done = lint_imports(tmp_path)
    assert done.returncode == 1
    for contract, (importer, imported) in PLANTED.items():
        assert f"{contract} BROKEN" in done.stdout
        assert f"{importer} -> {imported} " in done.stdout, f"{contract}: {done.stdout}"


# No processes of their own: what several of them do, and the command line.
SHARED = {"listening", "registry", "signin"}


def test_the_contracts_name_every_process() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (meeting,) = [each for each in contracts if each["name"].startswith("Processes meet only")]
    folders = {file.parent.name for file in ROOT.glob("gateway/processes/*/__init__.py")}
    assert set(meeting["modules"]) == {f"gateway.processes.{folder}" for folder in folders - SHARED}
