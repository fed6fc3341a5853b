"""What the sessions of one process work with, once somebody has signed in."""

from dataclasses import dataclass

from gateway.domain.events import By
from gateway.ports import Clock, ContentStore, Hearing, KeyStore
from gateway.processes.appending import Appending
from gateway.processes.changing import Changing
from gateway.processes.folders import Folders
from gateway.processes.reading import Reading
from projections.readmodel import Pool


@dataclass(frozen=True, slots=True)
class Mailroom:
    """language: of the mailboxes a new account gets; a key of `folders.FURNITURE`."""

    pool: Pool
    content: ContentStore
    keys: KeyStore
    folders: Folders
    changing: Changing
    appending: Appending
    reading: Reading
    hearing: Hearing
    clock: Clock
    by: By
    language: str
