"""The programs people read their mail with, each against one gateway (issue 4/9, acceptance 1).

They know nothing of us: libraries of Python, and mbsync, offlineimap, neomutt, fetchmail and curl of Debian.
"""

import asyncio
import email
import imaplib
import os
import pty
import shutil
import smtplib
import ssl
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import aioimaplib
import imap_tools
import imapclient
import pytest

from tests.e2e.gateway import Gateway, wait_until
from tests.needs import lacks
from tests.sizes import size

MESSAGES = size(100, 5_000)  # that are synchronised, half of them from each side
LARGE_OCTETS = size(2, 20) * 1024 * 1024
LARGE = "0123456789abcde\r\n" * (LARGE_OCTETS // 17)
PASSWORD = "a password for all clients"
THAI = "งานสารบรรณ/หนังสือเข้า"
PATIENCE_S = 900

_numbers = count(1)


@dataclass(frozen=True)
class Desk:
    """Somebody's mailboxes, and where they are."""

    gateway: Gateway
    address: str

    @property
    def host(self) -> str:
        return "localhost"  # the certificate names it

    @property
    def port(self) -> int:
        return int(self.gateway.address("imaps").rsplit(":", 1)[1])

    @property
    def authority(self) -> str:
        return str(self.gateway.ready["ca_file"])

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authority)

    def imaplib(self) -> imaplib.IMAP4_SSL:
        client = imaplib.IMAP4_SSL(self.host, self.port, ssl_context=self.tls)
        client.login(self.address, PASSWORD)
        return client

    def deliver(self, subject: str) -> None:
        """A mail from outside."""
        host, port = self.gateway.address("smtp").rsplit(":", 1)
        with smtplib.SMTP(host, int(port)) as smtp:
            smtp.sendmail("ann@example.org", [self.address], message(subject))


@pytest.fixture
def desk(gateway: Gateway) -> Desk:
    """An account of the test's own."""
    address = f"reader{next(_numbers)}@opdc.go.th"
    gateway.cli("account", "add", address, "--password", PASSWORD)
    desk = Desk(gateway, address)

    def lets_in() -> bool:
        with suppress(imaplib.IMAP4.error):
            desk.imaplib().logout()
            return True
        return False

    wait_until(lets_in, f"{address} is let in")
    return desk


def message(subject: str, body: str = "สวัสดี") -> bytes:
    fields = f"Subject: {subject}\r\nFrom: ann@example.org\r\nMessage-ID: <{subject}@clients.example>\r\n"
    return f"{fields}Content-Type: text/plain; charset=utf-8\r\n\r\n{body}\r\n".encode()


def program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        lacks(f"needs {name}: apt-get install {package}")
    return found


# --- libraries ---------------------------------------------------------------------------------------------


def test_imaplib(desk: Desk) -> None:
    client = desk.imaplib()
    large = message("large", LARGE)
    assert client.append("INBOX", "(\\Flagged)", imaplib.Time2Internaldate(0), large)[0] == "OK"
    client.select("INBOX")
    _, ((_, octets), _) = client.fetch("1", "(BODY.PEEK[])")  # type: ignore[misc]
    assert octets == large
    assert b"\\Flagged" in client.fetch("1", "(FLAGS)")[1][0]  # type: ignore[operator]
    assert client.search(None, "FLAGGED")[1] == [b"1"]
    assert client.uid("MOVE", "1", "Archive")[0] == "NO"  # in Thai it has another name
    assert client.create("Archive")[0] == "OK"
    assert client.uid("MOVE", "1", "Archive")[0] == "OK"
    assert client.select("Archive")[1] == [b"1"]
    client.store("1", "+FLAGS", "\\Deleted")
    assert client.expunge()[1] == [b"1"]
    client.logout()


def test_imapclient(desk: Desk) -> None:
    with imapclient.IMAPClient(desk.host, port=desk.port, ssl_context=desk.tls) as client:
        client.login(desk.address, PASSWORD)
        client.create_folder(THAI)
        assert THAI in {name for _, _, name in client.list_folders()}
        assert client.find_special_folder(b"\\Sent") == "ส่งแล้ว"
        client.append(THAI, message("one"), [imapclient.SEEN])
        client.select_folder(THAI)
        (uid,) = client.search(["SEEN"])
        client.add_flags([uid], ["$Work", imapclient.FLAGGED])
        assert set(client.get_flags([uid])[uid]) >= {b"$Work", imapclient.FLAGGED}
        envelope = client.fetch([uid], ["ENVELOPE"])[uid][b"ENVELOPE"]
        assert envelope.subject == b"one"
        client.select_folder("INBOX")
        client.idle()
        desk.deliver("wake")
        heard = client.idle_check(timeout=60)
        assert (1, b"EXISTS") in heard
        client.idle_done()
        client.move(client.search("ALL"), THAI)
        assert client.folder_status(THAI, ["MESSAGES"]) == {b"MESSAGES": 2}
        client.delete_folder(THAI)
        assert not client.folder_exists(THAI)


async def test_aioimaplib(desk: Desk) -> None:
    client = aioimaplib.IMAP4_SSL(host=desk.host, port=desk.port, ssl_context=desk.tls, timeout=60)
    await client.wait_hello_from_server()
    assert (await client.login(desk.address, PASSWORD)).result == "OK"
    await client.select("INBOX")
    idling = await client.idle_start(timeout=60)
    await asyncio.to_thread(desk.deliver, "wake")
    assert b"1 EXISTS" in await client.wait_server_push()
    client.idle_done()
    await asyncio.wait_for(idling, 60)
    fetched = await client.fetch("1", "(RFC822)")
    assert any(b"Subject: wake" in line for line in fetched.lines)
    await client.logout()


def test_imap_tools(desk: Desk) -> None:
    with imap_tools.MailBox(desk.host, desk.port, ssl_context=desk.tls).login(desk.address, PASSWORD) as box:
        box.folder.create(THAI)
        for number in range(3):
            box.append(message(f"m{number}"), "INBOX")
        found = list(box.fetch(imap_tools.AND(subject="m1"), mark_seen=False))
        assert [one.subject for one in found] == ["m1"]
        assert found[0].text.strip() == "สวัสดี"
        uids = box.uids()
        box.flag(uids[:1], imap_tools.MailMessageFlags.FLAGGED, True)
        box.move(uids[:2], THAI)
        assert box.folder.status(THAI)["MESSAGES"] == 2
        box.delete(uids[2:])
        assert box.uids() == []


# --- programs that synchronise -----------------------------------------------------------------------------


MBSYNC = """
IMAPAccount far
Host {host}
Port {port}
User {user}
Pass "{password}"
SSLType IMAPS
CertificateFile {authority}
AuthMechs PLAIN

IMAPStore far
Account far

MaildirStore near
Path {folder}/
Inbox {folder}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Expunge Both
SyncState *
"""


def test_mbsync_both_ways(desk: Desk, tmp_path: Path) -> None:
    rc, near = tmp_path / "mbsyncrc", tmp_path / "mail"
    near.mkdir()
    rc.write_text(
        MBSYNC.format(
            host=desk.host, port=desk.port, user=desk.address, password=PASSWORD,
            authority=desk.authority, folder=near,
        )
    )  # fmt: skip

    def synchronise() -> None:
        run([program("mbsync", "isync"), "-c", str(rc), "all"])

    client = desk.imaplib()
    for number in range(MESSAGES // 2):
        client.append("INBOX", "", None, message(f"far{number}"))  # type: ignore[arg-type]
    synchronise()
    inbox = near / "INBOX"
    assert len(files(inbox)) == MESSAGES // 2
    # Flags, deletions and new messages, on both sides at once.
    mark(subject(files(inbox), "far0"), "FS")
    subject(files(inbox), "far1").unlink()
    for number in range(MESSAGES // 2):
        (inbox / "new" / f"{number}.near").write_bytes(message(f"near{number}").replace(b"\r\n", b"\n"))
    client.select("INBOX")
    client.uid("STORE", uid_of(client, "far2"), "+FLAGS", "(\\Answered)")
    client.uid("STORE", uid_of(client, "far3"), "+FLAGS", "(\\Deleted)")
    client.expunge()
    synchronise()
    client.noop()
    flags = client.uid("FETCH", uid_of(client, "far0"), "(FLAGS)")[1][0]
    assert b"\\Flagged" in flags
    assert b"\\Seen" in flags
    assert len(client.uid("SEARCH", "ALL")[1][0].split()) == MESSAGES - 2
    synchronise()
    left = files(inbox)
    assert len(left) == MESSAGES - 2
    assert subject(left, "far2").name.endswith("R")
    # Folders made on either side, a move into each, and a large message.
    far, here = (imapclient.imap_utf7.encode(name).decode() for name in (THAI, "บันทึก"))
    client.create(f'"{far}"')
    client.append(f'"{far}"', "", None, message("large", LARGE))  # type: ignore[arg-type]
    client.uid("MOVE", uid_of(client, "far2"), f'"{far}"')
    for name in ("cur", "new", "tmp"):
        (near / here / name).mkdir(parents=True)
    subject(left, "near0").rename(near / here / "new" / "moved.near")
    synchronise()
    assert len(files(inbox)) == MESSAGES - 4
    assert {file.stat().st_size > LARGE_OCTETS // 2 for file in files(near / far)} == {True, False}
    assert client.select(f'"{here}"')[1] == [b"1"]
    assert uid_of(client, "near0")
    client.logout()


OFFLINEIMAP = """
[general]
accounts = one
metadata = {folder}/state
[Account one]
localrepository = near
remoterepository = far
utf8foldernames = yes
[Repository near]
type = Maildir
localfolders = {folder}/mail
[Repository far]
type = IMAP
remotehost = {host}
remoteport = {port}
remoteuser = {user}
remotepass = {password}
ssl = yes
sslcacertfile = {authority}
"""


def test_offlineimap_both_ways(desk: Desk, tmp_path: Path) -> None:
    rc = tmp_path / "offlineimaprc"
    rc.write_text(
        OFFLINEIMAP.format(
            host=desk.host, port=desk.port, user=desk.address, password=PASSWORD,
            authority=desk.authority, folder=tmp_path,
        )
    )  # fmt: skip

    def synchronise() -> None:
        run([program("offlineimap", "offlineimap3"), "-c", str(rc), "-o", "-1", "-u", "quiet"])

    client = desk.imaplib()
    for number in range(MESSAGES // 10):
        client.append("INBOX", "", None, message(f"far{number}"))  # type: ignore[arg-type]
    synchronise()
    inbox = tmp_path / "mail" / "INBOX"
    assert len(files(inbox)) == MESSAGES // 10
    mark(subject(files(inbox), "far0"), "S")
    (inbox / "new" / "1.near:2,").write_bytes(message("near0"))
    synchronise()
    client.select("INBOX")
    assert b"\\Seen" in client.uid("FETCH", uid_of(client, "far0"), "(FLAGS)")[1][0]
    assert uid_of(client, "near0")
    # The other way: a flag, a deletion, and a move into a folder with a Thai name.
    thai = imapclient.imap_utf7.encode(THAI).decode()
    client.create(f'"{thai}"')
    client.uid("STORE", uid_of(client, "far1"), "+FLAGS", "(\\Flagged)")
    client.uid("STORE", uid_of(client, "far2"), "+FLAGS", "(\\Deleted)")
    client.expunge()
    client.uid("MOVE", uid_of(client, "far3"), f'"{thai}"')
    synchronise()
    assert len(files(inbox)) == MESSAGES // 10 - 1
    assert "F" in subject(files(inbox), "far1").name.partition(":2,")[2]
    assert subject(files(tmp_path / "mail" / THAI.replace("/", ".")), "far3")
    client.logout()


def files(maildir: Path) -> list[Path]:
    return [file for name in ("cur", "new") for file in sorted((maildir / name).glob("*"))]


def subject(found: list[Path], wanted: str) -> Path:
    """The file of the message with that subject."""
    return next(file for file in found if email.message_from_bytes(file.read_bytes())["Subject"] == wanted)


def mark(file: Path, flags: str) -> None:
    """Set flags of a Maildir file, moved to `cur` as a mail reader does."""
    name = file.name.partition(":2,")[0]
    file.rename(file.parent.parent / "cur" / f"{name}:2,{flags}")


def uid_of(client: imaplib.IMAP4, wanted: str) -> str:
    (found,) = client.uid("SEARCH", "HEADER", "Message-ID", f"<{wanted}@clients.example>")[1]
    return str(found.decode())


def run(command: list[str], **options: object) -> str:
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=False, **options)  # type: ignore[call-overload]
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}: {said[-2000:]}"
    return str(said)


# --- programs that read ---------------------------------------------------------------------------------


NEOMUTT = """
set folder="imaps://{host}:{port}/"
set spoolfile="+INBOX"
set imap_user="{user}"
set imap_pass="{password}"
set ssl_ca_certificates_file="{authority}"
set ssl_force_tls=yes
set ssl_verify_host=yes
set confirmappend=no
set confirmcreate=no
set delete=yes
set quit=yes
set move=no
set timeout=1
"""


def test_neomutt_reads_marks_saves_and_leaves(desk: Desk, tmp_path: Path) -> None:
    """In a terminal of its own: it flags one message, and moves the other to a new mailbox."""
    neomutt = program("neomutt", "neomutt")
    client = desk.imaplib()
    for name in ("first", "second"):
        client.append("INBOX", "", None, message(name))  # type: ignore[arg-type]
    rc = tmp_path / "neomuttrc"
    rc.write_text(NEOMUTT.format(**terms(desk)))
    keys = "push '<first-entry><flag-message><next-entry><save-message>=Moved<enter><sync-mailbox><quit>'"
    in_terminal([neomutt, "-n", "-F", str(rc), "-e", keys])
    client.select("INBOX")
    assert b"\\Flagged" in client.uid("FETCH", uid_of(client, "first"), "(FLAGS)")[1][0]
    assert uid_of(client, "second") == ""
    client.select("Moved")
    assert uid_of(client, "second")
    client.logout()


def terms(desk: Desk) -> dict[str, object]:
    return {
        "host": desk.host,
        "port": desk.port,
        "user": desk.address,
        "password": PASSWORD,
        "authority": desk.authority,
    }


def in_terminal(command: list[str]) -> None:
    """Run a program that wants one, and read what it paints so that it goes on."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= {"TERM": "xterm", "LINES": "40", "COLUMNS": "120", "LANG": "C.UTF-8"}
        os.execv(command[0], command)
    painted = b""
    until = time.monotonic() + PATIENCE_S
    with suppress(OSError):  # the terminal is gone with its program
        while time.monotonic() < until and (octets := os.read(terminal, 65536)):
            painted = (painted + octets)[-4000:]
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, painted.decode("utf-8", "replace")


FETCHMAIL = """
poll {host} service {port} protocol IMAP
  username "{user}" password "{password}" ssl sslcertck sslcertfile {authority}
  mda "cat >> {kept}"
"""


def test_fetchmail_takes_all_away(desk: Desk, tmp_path: Path) -> None:
    client = desk.imaplib()
    for number in range(5):
        client.append("INBOX", "", None, message(f"m{number}"))  # type: ignore[arg-type]
    rc, kept = tmp_path / "fetchmailrc", tmp_path / "kept"
    rc.write_text(FETCHMAIL.format(kept=kept, **terms(desk)))
    rc.chmod(0o600)
    run(
        [program("fetchmail", "fetchmail"), "-f", str(rc), "--nosyslog", "--pidfile", str(tmp_path / "pid")],
        env=os.environ | {"FETCHMAILHOME": str(tmp_path)},
    )
    assert kept.read_bytes().count(b"Subject: m") == 5
    assert client.select("INBOX")[1] == [b"0"]
    client.logout()


@pytest.fixture
def curl(desk: Desk) -> list[str]:
    return [program("curl", "curl"), "-sS", "--cacert", desk.authority, "-u", f"{desk.address}:{PASSWORD}"]


def test_curl(desk: Desk, curl: list[str], tmp_path: Path) -> None:
    url = f"imaps://{desk.host}:{desk.port}"
    upload = tmp_path / "message"
    upload.write_bytes(message("uploaded"))
    run([*curl, "-T", str(upload), f"{url}/INBOX"])
    assert "uploaded" in run([*curl, f"{url}/INBOX;UID=1"])
    assert "\\Seen" in run([*curl, f"{url}/INBOX", "-X", "FETCH 1 (FLAGS)"])
    assert "INBOX" in run([*curl, url])
    assert "SEARCH 1" in run([*curl, f"{url}/INBOX?SUBJECT%20uploaded"])
    upload.write_bytes(message("large", LARGE))
    run([*curl, "-T", str(upload), f"{url}/INBOX"])
    kept = tmp_path / "kept"
    run([*curl, f"{url}/INBOX;UID=2", "-o", str(kept)])
    assert kept.read_bytes() == upload.read_bytes()
