"""A test ends early in one way only, and on CI that is a failure (tests/needs.py)."""

import ast
from pathlib import Path

import pytest

from tests.needs import lacks

TESTS = Path(__file__).resolve().parents[1]
WAYS_OUT = {"skip", "skipif", "importorskip", "xfail", "skipTest", "skipUnless"}


@pytest.mark.parametrize(("ci", "ends"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_what_a_machine_lacks_fails_on_ci_alone(
    ci: str, ends: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(ends, match="npm"):
        lacks("npm")


def test_no_test_skips_in_another_way() -> None:
    files = [file for file in TESTS.rglob("*.py") if file.name not in ("needs.py", Path(__file__).name)]
    others = [
        f"{file.relative_to(TESTS)}:{node.lineno}"
        for file in files
        for node in ast.walk(ast.parse(file.read_bytes()))
        if isinstance(node, ast.Attribute) and node.attr in WAYS_OUT
    ]
    assert others == []
