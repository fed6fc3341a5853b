"""The IMAP dialogs are held at home."""

from tests.processes.imap_sessions.conftest import home

__all__ = ["home"]
