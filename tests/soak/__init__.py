"""The acceptance tests of an issue at their full size: `python -m tests.soak ISSUE`."""
