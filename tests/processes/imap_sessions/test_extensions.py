"""Extensions that clients of large mailboxes and small devices ask for, on real rows."""

import base64

import pytest

from gateway.domain.events import MessageRead
from gateway.mail.mime import Part, StructureScanner
from gateway.ports import Spooled
from gateway.processes.imap import appending
from tests.imap_client import Answer, Token
from tests.processes.imap_sessions.home import Home, Visit

MESSAGE = b"Subject: m\r\n\r\nbody\r\n"


async def filled(home: Home, messages: int) -> Visit:
    suda = await home.visit()
    await suda.ok("APPEND INBOX " + " ".join(["{}"] * messages), *[MESSAGE] * messages)
    await suda.ok("SELECT INBOX")
    return suda


def uids(answer: Answer) -> list[str]:
    return [str(each.items["UID"]) for each in answer.of("FETCH")]


def uidfetched(answer: Answer) -> dict[int | None, Token]:
    return {each.number: each.tokens[0] for each in answer.of("UIDFETCH")}


async def test_a_part_of_many_messages_is_fetched(home: Home) -> None:
    """RFC 9394 §3.3."""
    suda = await filled(home, 7)
    await suda.ok("UID STORE 2 +FLAGS.SILENT (\\Deleted)")
    await suda.ok("EXPUNGE")
    assert uids(await suda.ok("UID FETCH 1:* (FLAGS) (PARTIAL 1:3)")) == ["1", "3", "4"]
    assert uids(await suda.ok("UID FETCH 1:* (FLAGS) (PARTIAL -1:-2)")) == ["6", "7"]
    assert uids(await suda.ok("UID FETCH 1:* (FLAGS) (PARTIAL 7:9)")) == []


async def test_a_part_of_many_results_is_told_and_saved(home: Home) -> None:
    """RFC 9394 §3.1 and §3.2."""
    suda = await filled(home, 7)
    (told,) = (await suda.ok("UID SEARCH RETURN (PARTIAL -1:-3) ALL")).of("ESEARCH")
    assert told.tokens[-2:] == ["PARTIAL", ["-1:-3", "5:7"]]
    await suda.ok("SEARCH RETURN (SAVE MIN PARTIAL 3:4) ALL")
    assert uids(await suda.ok("UID FETCH $ FLAGS")) == ["1", "3", "4"]


async def test_a_client_with_uidonly_hears_no_numbers(home: Home) -> None:
    """RFC 9586 §3."""
    suda, other = await filled(home, 4), await home.visit()
    assert [each.tokens for each in (await suda.ok("ENABLE UIDONLY")).of("ENABLED")] == [["UIDONLY"]]
    assert uidfetched(await suda.ok("UID FETCH 3:4 (UID FLAGS)")) == {3: ["FLAGS", []], 4: ["FLAGS", []]}
    assert uidfetched(await suda.ok("UID STORE 3 +FLAGS (\\Seen)")) == {3: ["FLAGS", ["\\Seen"]]}
    await other.ok("SELECT INBOX")
    await other.ok("UID STORE 1 +FLAGS.SILENT (\\Deleted)")
    await other.ok("EXPUNGE")
    news = await suda.ok("NOOP")
    assert [each.tokens for each in news.of("VANISHED")] == [["1"]]
    assert news.of("EXPUNGE") == news.of("FETCH") == []


async def test_a_client_with_uidonly_names_none_either(home: Home) -> None:
    suda = await filled(home, 2)
    await suda.ok("ENABLE UIDONLY")
    for command in ("FETCH 1 FLAGS", "STORE 1 FLAGS ()", "COPY 1 INBOX", "SEARCH ALL", "UID SEARCH 1:2"):
        answer = await suda.command(command)
        assert (answer.status, answer.code) == ("BAD", "UIDREQUIRED"), command
    await suda.ok("UID SEARCH UID 1:2")


THAI = "ขอเชิญประชุม  เรื่องน้ำท่วม\r\n" * 20
HTML = "<style>p{}</style><p>One &amp; two</p>"


def mail(body: str, content_type: str = "text/plain; charset=utf-8") -> bytes:
    return f"Subject: m\r\nContent-Type: {content_type}\r\n\r\n{body}".encode()


async def test_a_preview_is_the_beginning_of_what_a_person_reads(home: Home) -> None:
    """RFC 8970 §3."""
    suda = await home.visit()
    messages = [mail(THAI), mail(HTML, "text/html"), mail("", "image/png"), mail(" \r\n one\r\n  two \r\n")]
    await suda.ok("APPEND INBOX {} {} {} {}", *messages)
    await suda.ok("SELECT INBOX")
    thai = " ".join(THAI.split())[:200].strip()
    told = await suda.ok("FETCH 1:* (PREVIEW (LAZY))")
    assert [each.items["PREVIEW"] for each in told.of("FETCH")] == [
        thai.encode(),
        b"One & two",
        b"",
        b"one two",
    ]
    assert {each.flags for each in (await suda.ok("FETCH 1:* FLAGS")).of("FETCH")} == {frozenset()}
    await suda.ok("ENABLE UTF8=ACCEPT")
    assert f'PREVIEW "{thai}"'.encode() in (await suda.ok("FETCH 1 PREVIEW")).of("FETCH")[0].octets


async def test_who_sees_a_preview_has_read_of_it(home: Home) -> None:
    suda = await filled(home, 1)
    await suda.ok("FETCH 1 PREVIEW")
    (read,) = home.events(MessageRead)
    assert (read.uids, read.peek) == ("1", True)


async def test_a_part_is_fetched_without_its_transfer_encoding(home: Home) -> None:
    """RFC 3516 §4.3, RFC 9051 §6.4.5."""
    suda = await home.visit()
    body = b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\nAw==\r\n"
    await suda.ok("APPEND INBOX {}", body)
    await suda.ok("SELECT INBOX")
    (told,) = (await suda.ok("FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1] BINARY.PEEK[1]<1.2>)")).of("FETCH")
    assert b"BINARY.SIZE[1] 4 BINARY[1] ~{4}\r\n\0\1\2\3 BINARY[1]<1> {2}\r\n\1\2)" in told.octets


LARGE = bytes(range(256)) * 2_000  # 512,000 octets


@pytest.mark.parametrize("content", [LARGE, LARGE.replace(b"\0", b"x")], ids=["with NUL", "without"])
async def test_a_large_part_is_decoded_as_it_comes(home: Home, content: bytes) -> None:
    """RFC 3516 §4.2: literal8 only where there is a NUL."""
    suda = await home.visit()
    header = b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    await suda.ok("APPEND INBOX {}", header + base64.encodebytes(content).replace(b"\n", b"\r\n"))
    await suda.ok("SELECT INBOX")
    (told,) = (await suda.ok("FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1] BINARY.PEEK[1]<1000.300000>)")).of(
        "FETCH"
    )
    mark = b"~" if b"\0" in content else b""
    whole, part = mark + b"{512000}\r\n" + content, mark + b"{300000}\r\n" + content[1000:301000]
    said = b"* 1 FETCH (BINARY.SIZE[1] 512000 BINARY[1] " + whole + b" BINARY[1]<1000> " + part + b")\r\n"
    assert told.octets == said
    for start, octets in ((511_990, 100), (300_000, 400_000), (600_000, 7)):
        (told,) = (await suda.ok(f"FETCH 1 BINARY.PEEK[1]<{start}.{octets}>")).of("FETCH")
        wanted = content[start : start + octets]
        assert told.octets.endswith(b"{%d}\r\n%b)\r\n" % (len(wanted), wanted))


async def test_a_message_with_nul_is_refused(home: Home) -> None:
    """RFC 3516 §4.4."""
    suda = await filled(home, 1)
    for octets in (b"Subject: x\r\n\r\na\0b", b"Subject: x\r\n\r\n" + b"a" * 100_000 + b"\0"):
        answer = await suda.command("APPEND INBOX ~{}", octets)
        assert (answer.status, answer.code) == ("NO", "UNKNOWN-CTE")
    await suda.ok("APPEND INBOX ~{}", MESSAGE)


@pytest.mark.parametrize("times", [1, 100_000], ids=["small", "large"])
async def test_nul_goes_out_by_binary_alone(home: Home, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """RFC 9051 §4.3: a literal has none. Mail comes with it by BINARYMIME (RFC 3030), not by APPEND."""

    async def as_by_smtp(octets: Spooled) -> Part:
        scanner = StructureScanner()
        for piece in octets.read(0, octets.octets):
            scanner.feed(piece)
        return scanner.finish()

    monkeypatch.setattr(appending, "_structure", as_by_smtp)
    suda = await home.visit()
    body = b"a\0\0b" * times
    await suda.ok("APPEND INBOX ~{}", b"Content-Transfer-Encoding: binary\r\n\r\n" + body)
    await suda.ok("SELECT INBOX")
    (told,) = (await suda.ok("FETCH 1 (BODY.PEEK[TEXT] BINARY.PEEK[1])")).of("FETCH")
    size, shown = len(body), body.replace(b"\0", b"\x80")
    said = b"* 1 FETCH (BODY[TEXT] {%d}\r\n%b BINARY[1] ~{%d}\r\n%b)\r\n" % (size, shown, size, body)
    assert told.octets == said


ATTACHED = (
    b'Subject: draft\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"--b\r\n\r\nold text\r\n--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + b"A" * 100_000
    + b"\r\n--b--\r\n"
)


async def test_a_message_is_put_together_from_parts_that_are_here(home: Home) -> None:
    """RFC 4469 §3."""
    suda = await home.visit()
    await suda.ok("CREATE Drafts-2569")
    uidvalidity = (await suda.ok("APPEND Drafts-2569 {}", ATTACHED)).code.split()[1]
    url = f"/Drafts-2569;UIDVALIDITY={uidvalidity}/;UID=1"
    head = b'Subject: final\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\n'
    text = b"new text " * 10_000  # large enough to be spooled
    parts = f'TEXT {{}} TEXT {{}} TEXT {{}} URL "{url}/;SECTION=2.MIME" URL "{url}/;SECTION=2" TEXT {{}}'
    await suda.ok(f"APPEND INBOX (\\Seen) CATENATE ({parts})", head, text, b"\r\n--b\r\n", b"\r\n--b--\r\n")
    await suda.ok("EXAMINE INBOX")
    (told,) = (await suda.ok("FETCH 1 (FLAGS BODY.PEEK[1] BODY.PEEK[2])")).of("FETCH")
    assert (told.items["BODY[1]"], told.items["BODY[2]"]) == (text, b"A" * 100_000)
    assert told.flags == {"\\Seen"}
    (whole,) = (await suda.ok("FETCH 1 BODY.PEEK[]")).of("FETCH")
    assert head in whole.octets


async def test_a_url_that_names_nothing_is_told(home: Home) -> None:
    """RFC 4469 §5 (BADURL)."""
    suda = await filled(home, 2)
    await suda.ok("UID STORE 2 +FLAGS.SILENT (\\Deleted)")
    await suda.ok("EXPUNGE")
    for url in ("/x/;UID=1", "/INBOX/;UID=2", "/INBOX/;UID=9", "/INBOX;UIDVALIDITY=1/;UID=1",
                "/INBOX/;UID=1/;SECTION=7", "imap://example.org/INBOX/;UID=1"):  # fmt: skip
        answer = await suda.command(f'APPEND INBOX CATENATE (URL "{url}")')
        assert (answer.status, answer.code) == ("NO", f'BADURL "{url}"'), url
    assert (await suda.ok("STATUS INBOX (MESSAGES)")).of("STATUS")[0].tokens[-1] == ["MESSAGES", "1"]


async def test_what_is_put_together_may_be_too_large(home: Home) -> None:
    suda = await home.visit()
    await suda.ok("APPEND INBOX {}", ATTACHED)
    urls = " ".join(['URL "/INBOX/;UID=1"'] * 11)
    answer = await suda.command(f"APPEND INBOX CATENATE ({urls})")
    assert (answer.status, answer.code) == ("NO", "TOOBIG")


async def test_how_large_a_message_may_be_is_told(home: Home) -> None:
    """RFC 7889 §3.1."""
    suda = await home.visit()
    (told,) = (await suda.ok("STATUS INBOX (APPENDLIMIT)")).of("STATUS")
    assert told.tokens[-1] == ["APPENDLIMIT", "1000000"]


async def test_a_client_that_takes_utf8_hears_and_says_it(home: Home) -> None:
    """RFC 6855 §3 and §4."""
    suda = await home.visit()
    assert (await suda.command('CREATE "งาน"'.encode())).status == "BAD"
    await suda.ok("ENABLE UTF8=ACCEPT")
    await suda.ok('CREATE "งาน"'.encode())
    await suda.ok('APPEND "งาน" UTF8 (~{})'.encode(), "Subject: หนังสือ\r\n\r\nx".encode())
    assert '"งาน"'.encode() in b"".join(each.octets for each in (await suda.ok('LIST "" *')).of("LIST"))
    await suda.ok('EXAMINE "งาน"'.encode())
    assert '"หนังสือ"'.encode() in (await suda.ok("FETCH 1 ENVELOPE")).of("FETCH")[0].octets
    other = await home.visit()
    assert b'"&DgcOMg4Z-"' in b"".join(each.octets for each in (await other.ok('LIST "" *')).of("LIST"))
    await other.ok("EXAMINE &DgcOMg4Z-")
    assert b'"=?utf-8?b?' in (await other.ok("FETCH 1 ENVELOPE")).of("FETCH")[0].octets
