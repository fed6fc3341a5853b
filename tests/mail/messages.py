"""Messages and octets the tests of this room share."""

from collections.abc import Callable, Iterator
from importlib import resources

from hypothesis import strategies as st

from gateway.mail.mime import Part, StructureScanner


def scan(message: bytes, *, split: int | None = None) -> Part:
    """The tree of a message fed in pieces of that size, or whole."""
    scanner = StructureScanner()
    for start in range(0, len(message), split or max(1, len(message))):
        scanner.feed(message[start : start + (split or len(message))])
    return scanner.finish()


def reader(message: bytes, *, split: int = 65_536) -> Callable[[int, int], Iterator[bytes]]:
    """A way to read ranges of a message, in pieces."""

    def read(start: int, end: int) -> Iterator[bytes]:
        for at in range(start, end, split):
            yield message[at : min(at + split, end)]

    return read


def samples() -> dict[str, bytes]:
    """CPython's own mail samples, as SMTP would carry them: in CRLF."""
    folder = resources.files("test.test_email") / "data"
    found = {file.name: file.read_bytes() for file in folder.iterdir() if file.name.endswith(".txt")}
    return {name: octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") for name, octets in found.items()}


# What hostile and broken mail is made of: every token the scanner acts on, and what nearly is one.
TOKENS = (
    b"\r\n",
    b"\n",
    b"\r",
    b"--",
    b"--a",
    b"--a--",
    b"--ab",
    b"--a--x",
    b" \t",
    b"a",
    b"x: y",
    b"\r\n--a\r\n",
    b"\r\n--ab\r\n",
    b"\r\n--a--\r\n",
    b"\r\n--b\r\n",
    b"Content-Type: multipart/mixed; boundary=a\r\n",
    b"Content-Type: multipart/digest; boundary=ab\r\n",
    b'Content-Type: multipart/mixed;\r\n boundary="a--"\r\n',
    b"Content-Type: multipart/alternative; boundary=b\r\n\r\n",
    b"Content-Type: message/rfc822\r\n\r\n",
    b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n",
    b"\0\xff\xe0",
)
broken = st.lists(st.sampled_from(TOKENS) | st.binary(max_size=6), max_size=60).map(b"".join)
