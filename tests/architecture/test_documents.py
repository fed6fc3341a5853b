"""The documents a newcomer reads are there, and say what the code has (acceptance 11)."""

import dataclasses
import re
from pathlib import Path

import pytest

from gateway.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
DEVELOPER = (ROOT / "docs" / "developer.md").read_text()
DECISIONS = sorted((ROOT / "docs" / "adr").glob("*.md"))
THAI = sorted((ROOT / "docs").glob("*.th.md"))
ROOMS = [folder for folder in ROOT.glob("gateway/*/") if (folder / "__init__.py").exists()]
# Fenced, or indented below an empty line.
BLOCK = re.compile(r"^```[\s\S]*?^```$|(?<=\n\n)(?:    .*\n)+", re.MULTILINE)
TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)
# A path below the repository or below gateway/; `<model>` stands for any.
PATH = re.compile(r"`((?:\./)?[a-z][\w.<>-]*/[\w./<>-]*)`")


def test_readme_has_the_two_commands_the_way_of_a_mail_and_the_licence() -> None:
    for said in ("\n./just up ", "\n./just test ", "mail.accepted", "250 2.0.0", "Licence: Apache-2.0"):
        assert said in README, said
    assert (ROOT / "LICENSE").read_text().lstrip().startswith("Apache License\n")


def test_the_settings_that_readme_names_exist() -> None:
    names = set(re.findall(r"`SARABAN_(\w+)`", README))
    known = {field.name.upper() for field in dataclasses.fields(Settings)}
    assert names
    assert names <= known


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda file: file.stem)
def test_a_decision_has_all_its_parts(decision: Path) -> None:
    said = decision.read_text()
    parts = ["Status: ", "## Context", "## Decision", "## Consequences", "## Alternatives"]
    assert said.startswith(f"# {decision.name[:4]}")
    places = [said.find(f"\n{part}") for part in parts]
    assert -1 not in places
    assert places == sorted(places)


def test_the_developer_guide_names_every_room() -> None:
    assert len(ROOMS) > 5
    missing = [room.name for room in ROOMS if f"`gateway/{room.name}/" not in DEVELOPER]
    assert missing == []


def test_what_the_developer_guide_points_at_is_there() -> None:
    named = {
        name for name in PATH.findall(DEVELOPER) if not name.startswith("docs/soak/")
    }  # what soak writes
    assert len(named) > 15
    bases = [ROOT, ROOT / "gateway", ROOT / "gateway" / "adapters", ROOT / "tests"]
    missing = [
        name for name in named if not any(any(base.glob(re.sub("<.*?>", "*", name))) for base in bases)
    ]
    assert missing == []


def test_readme_names_every_thai_edition() -> None:
    assert THAI
    assert [thai.name for thai in THAI if f"`docs/{thai.name}`" not in README] == []


@pytest.mark.parametrize("thai", THAI, ids=lambda file: file.stem)
def test_a_thai_edition_is_built_as_the_english_one(thai: Path) -> None:
    english = english_of(thai)
    assert shape_of(thai) == shape_of(english)
    assert thai.read_text().split("\n\n")[1] == f"English edition: [{english.name}]({english.name})"
    assert english.read_text().split("\n\n")[1] == f"ฉบับภาษาไทย: [{thai.name}]({thai.name})"


@pytest.mark.parametrize("thai", THAI, ids=lambda file: file.stem)
def test_a_thai_edition_has_the_commands_codes_and_numbers_of_the_english_one(thai: Path) -> None:
    assert spans_of(thai) == spans_of(english_of(thai))
    assert numbers_of(thai) == numbers_of(english_of(thai))


def english_of(thai: Path) -> Path:
    return thai.with_name(thai.name.replace(".th.md", ".md"))


@dataclasses.dataclass(frozen=True)
class Shape:
    """What a guide and its translation have in common, in order."""

    headings: list[int]  # levels
    blocks: list[str]  # of code
    rows: list[int]  # of each table


def shape_of(guide: Path) -> Shape:
    said = guide.read_text()
    prose = BLOCK.sub("", said)
    return Shape(
        headings=[len(level) for level in re.findall(r"^(#+) ", prose, re.MULTILINE)],
        blocks=BLOCK.findall(said),
        rows=[table.count("\n") for table in TABLE.findall(prose)],
    )


def spans_of(guide: Path) -> set[str]:
    """What stands between backticks. A Thai edition points at Thai ones."""
    found = re.findall(r"`([^`]+)`", BLOCK.sub("", guide.read_text()))
    return {" ".join(span.split()).replace(".th.md", ".md") for span in found}


def numbers_of(guide: Path) -> set[str]:
    """The numbers in figures outside of code, among them those of RFCs."""
    return set(re.findall(r"\d[\d,.]*\d|\d", re.sub(r"`[^`]+`", "", BLOCK.sub("", guide.read_text()))))
