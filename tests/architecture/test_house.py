"""The house stands as architecture.md §3 draws it, and production code uses the libraries it was built on."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"gateway", "projections", "schemas", "tests", "infra", "docs", ".ci"}
FILES = {
    "pyproject.toml", "requirements.lock", "justfile", "just",
    "README.md", "CHANGELOG.md", "LICENSE", ".gitignore",
}  # fmt: skip
# Import name: where production code has to use it (architecture.md §4-§6).
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
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    locked = {
        line.split("==")[0] for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line
    }
    names = {wish.replace("=", " ").replace(">", " ").replace("[", " ").split()[0].lower() for wish in wanted}
    assert names <= locked


def test_imports_go_down_only() -> None:
    tool = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([tool, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


# A violation of each contract, planted in a copy of the code: (module, line, the contract's name).
PLANTED = [
    ("gateway/mail/ids.py", "import gateway.domain.events", "Rooms form one staircase"),
    ("gateway/processes/__init__.py", "import gateway.adapters", "Processes do not know adapters"),
    ("gateway/adapters/__init__.py", "import gateway.processes", "Adapters know ports"),
    ("gateway/processes/edge/__init__.py", "import gateway.processes.relay", "Processes meet only"),
    ("gateway/mail/ids.py", "import time", "Pure rooms compute only"),
    ("gateway/ports.py", "import nats", "Drivers stay in the driver rooms"),
]


@pytest.mark.parametrize(("module", "line", "contract"), PLANTED)
def test_each_contract_finds_a_planted_violation(
    module: str, line: str, contract: str, tmp_path: Path
) -> None:
    for name in tracked():
        if name.startswith(("gateway/", "projections/")) and name.endswith(".py") and (ROOT / name).exists():
            copy = tmp_path / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((ROOT / name).read_bytes())
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    with (tmp_path / module).open("a") as file:
        file.write(f"\n{line}\n")
    tool = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([tool, "--no-cache"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    broken = [said for said in done.stdout.splitlines() if said.endswith("BROKEN")]
    assert any(said.startswith(contract) for said in broken), done.stdout
