"""What the sessions of one process work with, once somebody has signed in."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.domain.events import By
from gateway.ports import Clock, ContentStore, Hearing, KeyStore, Spool
from gateway.processes.appending import Appending
from gateway.processes.changing import Changing
from gateway.processes.folders import Folders
from gateway.processes.reading import Reading
from gateway.processes.transfers import Transfers
from projections.readmodel import Pool


@dataclass(frozen=True, slots=True)
class Mailroom:
    """language: of the mailboxes a new account gets; a key of `folders.FURNITURE`. new_spool: for a message
    that is put together here, of message_octets_max at most."""

    pool: Pool
    content: ContentStore
    keys: KeyStore
    folders: Folders
    changing: Changing
    appending: Appending
    reading: Reading
    transfers: Transfers
    hearing: Hearing
    clock: Clock
    by: By
    language: str
    new_spool: Callable[[], Spool]
    message_octets_max: int
