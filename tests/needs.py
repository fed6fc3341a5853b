"""What a test needs of the machine and cannot bring along.

Where it is missing the test is skipped, and `pytest -ra` says so. On CI nothing may be skipped: `.ci/run`
installs it first, so there the same is a failure.
"""

import os
from typing import NoReturn

import pytest


def lacks(reason: str) -> NoReturn:
    """End the test: the machine has not got what it needs. reason: what to install or to be."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI has to have it: {reason}")
    pytest.skip(reason)
