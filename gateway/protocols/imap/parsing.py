"""A command out of the lines that a client sent.

The shell gives what the framer calls Lines, and sends the response of what is raised.

Source: RFC 9051 §2.2.1 and §9 (command), §7.1.3 (BAD).
"""

from collections.abc import Callable
from typing import Final

from gateway.protocols.imap import commands
from gateway.protocols.imap import reading_mailboxes as mailboxes
from gateway.protocols.imap import reading_messages as messages
from gateway.protocols.imap import reading_sharing as sharing
from gateway.protocols.imap.commands import Command, Tagged
from gateway.protocols.imap.errors import UNTAGGED, BadCommand, CannotObey
from gateway.protocols.imap.framer import Lines
from gateway.protocols.imap.grammar import Reader, Unreadable

Read = Callable[[Reader, bool], Command]  # reader behind the space, and whether UID stood before the name


def parse_command(lines: Lines, *, is_utf8: bool = False) -> Tagged:
    """is_utf8: the client has enabled IMAP4rev2 or UTF8=ACCEPT, so mailbox names are UTF-8.

    Raises BadCommand or CannotObey, which is what the client gets. Whether the command may come now, `states`
    of the command says.
    """
    reader = Reader(lines, is_utf8=is_utf8)
    tag = UNTAGGED
    try:
        tag = reader.tag()
        reader.expect(b" ", "A command has a name")
        command = _command(reader)
        reader.end()
    except Unreadable as error:
        raise BadCommand(tag, str(error)) from None
    except CannotObey as error:
        raise CannotObey(tag, error.text, error.code) from None
    return Tagged(tag, command)


def _command(reader: Reader) -> Command:
    name = reader.keyword()
    by_uid = name == "UID"
    if by_uid:
        reader.space()
        name = reader.keyword()
    if not by_uid and (alone := _ALONE.get(name)):
        return alone
    read = (_BY_UID if by_uid else _READERS).get(name)
    if read is None:
        raise Unreadable("There is no such command")
    reader.space()
    return read(reader, by_uid)


_ALONE: Final[dict[str, Command]] = {
    "CAPABILITY": commands.Capability(),
    "NOOP": commands.Noop(),
    "LOGOUT": commands.Logout(),
    "STARTTLS": commands.Starttls(),
    "NAMESPACE": commands.Namespace(),
    "IDLE": commands.Idle(),
    "CHECK": commands.Check(),
    "CLOSE": commands.Close(),
    "UNSELECT": commands.Unselect(),
    "EXPUNGE": commands.Expunge(),
}
# RFC 9051 §6.4.9, RFC 8508 §3.4, RFC 5256 §3.
_BY_UID: Final[dict[str, Read]] = {
    "COPY": messages.read_transfer(commands.Copy),
    "EXPUNGE": messages.read_expunge,
    "FETCH": messages.read_fetch,
    "MOVE": messages.read_transfer(commands.Move),
    "REPLACE": messages.read_replace,
    "SEARCH": messages.read_search,
    "SORT": messages.read_sort,
    "STORE": messages.read_store,
    "THREAD": messages.read_thread,
}
_READERS: Final[dict[str, Read]] = {
    **{name: read for name, read in _BY_UID.items() if name != "EXPUNGE"},
    "APPEND": messages.read_append,
    "AUTHENTICATE": mailboxes.read_authenticate,
    "COMPRESS": mailboxes.read_compress,
    "CREATE": mailboxes.read_create,
    "DELETE": mailboxes.read_named(commands.Delete),
    "DELETEACL": sharing.read_identified(commands.DeleteAcl),
    "ENABLE": mailboxes.read_enable,
    "EXAMINE": mailboxes.read_examine,
    "GETACL": mailboxes.read_named(commands.GetAcl),
    "GETMETADATA": sharing.read_get_metadata,
    "GETQUOTA": mailboxes.read_get_quota,
    "GETQUOTAROOT": mailboxes.read_named(commands.GetQuotaRoot),
    "ID": mailboxes.read_id,
    "LIST": mailboxes.read_list,
    "LISTRIGHTS": sharing.read_identified(commands.ListRights),
    "LOGIN": mailboxes.read_login,
    "LSUB": mailboxes.read_lsub,
    "MYRIGHTS": mailboxes.read_named(commands.MyRights),
    "NOTIFY": sharing.read_notify,
    "RENAME": mailboxes.read_rename,
    "SELECT": mailboxes.read_select,
    "SETACL": sharing.read_set_acl,
    "SETMETADATA": sharing.read_set_metadata,
    "SETQUOTA": mailboxes.read_set_quota,
    "STATUS": mailboxes.read_status,
    "SUBSCRIBE": mailboxes.read_named(commands.Subscribe),
    "UNSUBSCRIBE": mailboxes.read_named(commands.Unsubscribe),
}
