"""One setting decides how large the acceptance tests are: SARABAN_TEST_SIZE, `ci` (default) or `full`."""

import os


def size(ci: int, full: int) -> int:
    """The count to test with: `ci` in `./just test`, `full` (the issue's own figure) in `./just soak`."""
    wanted = os.environ.get("SARABAN_TEST_SIZE", "ci")
    assert wanted in ("ci", "full"), f"SARABAN_TEST_SIZE is {wanted!r}, expected 'ci' or 'full'"
    return full if wanted == "full" else ci
