"""Modules stay short enough to read in one sitting, functions on one screen (style.md §2)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
FILES = sorted(file for room in ("gateway", "projections", "tests") for file in (ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_module_is_tidy(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count("\n") <= MODULE_LINES_MAX
    tree = ast.parse(text)
    if file.name != "__init__.py":
        assert ast.get_docstring(tree), "says what the reader finds here"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < FUNCTION_LINES_MAX, f"{node.name} is too long"
