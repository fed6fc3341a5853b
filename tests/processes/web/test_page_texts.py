"""Every text of the account page is there in Thai and in English, and says the same things."""

import re
import string
from pathlib import Path

import pytest

from gateway.processes.web import pages
from gateway.processes.web.pages.rendering import written_size, written_time
from gateway.processes.web.pages.sign_ins import OUTCOMES
from gateway.processes.web.pages.texts import LANGUAGES, TEXTS, Text, wanted
from tests.processes.registry.desk import AT

FOLDER = Path(pages.__file__).parent
TEMPLATES = sorted(FOLDER.glob("templates/*.html"))
CODE = "".join(file.read_text() for file in [*FOLDER.glob("*.py"), *TEMPLATES])
THAI = re.compile("[\u0e00-\u0e7f]")


def fields_of(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_in_both_languages_and_is_used(name: str) -> None:
    text = TEXTS[name]
    assert text._fields == tuple(LANGUAGES)
    assert THAI.search(text.th), text.th
    assert text.en, name
    assert not THAI.search(text.en), text.en
    assert fields_of(text.th) == fields_of(text.en)
    is_said = name in OUTCOMES.values() or f'"{name}"' in CODE or f"'{name}'" in CODE
    assert is_said, f"nothing says {name}"


def test_every_outcome_of_a_sign_in_has_its_text() -> None:
    assert set(OUTCOMES.values()) <= TEXTS.keys()


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda file: file.name)
def test_a_template_has_no_words_of_its_own(template: Path) -> None:
    source = template.read_text()
    for name in re.findall(r"say\([\"']([\w-]+)[\"']", source):
        assert isinstance(TEXTS[name], Text)
    shown = re.sub(r"\{[{%].*?[%}]\}|<[^>]*>", " ", source, flags=re.DOTALL)
    assert re.fullmatch(r"[\s:()]*", shown), shown


@pytest.mark.parametrize(
    ("said", "language"),
    [
        (("", "", ""), "th"),
        (("", "", "en"), "en"),
        (("", "", "en-GB,en;q=0.9,th;q=0.8"), "en"),
        (("", "", "de,th;q=0.4,en;q=0.3"), "th"),
        (("", "", "fr, en;q=0.5"), "en"),
        (("", "", "en;q=0, th;q=0.1"), "th"),
        (("", "", ";;;,q=,en;q=nan,\x00"), "th"),
        (("", "en", "th"), "en"),
        (("th", "en", "en"), "th"),
        (("xx", "yy", "en"), "en"),
    ],
)
def test_the_language_is_chosen_then_remembered_then_the_browsers(
    said: tuple[str, ...], language: str
) -> None:
    assert wanted(*said) == language


def test_times_and_sizes_are_written_as_people_read_them() -> None:
    assert written_time("en", AT) == "23 Nov 2026 11:05 (UTC+7)"
    assert written_time("th", AT) == "23 พ.ย. 2569 11:05 น."
    assert [written_size(octets) for octets in (0, 2048, 10 * 1024**3)] == ["0 B", "2.0 KB", "10.0 GB"]
