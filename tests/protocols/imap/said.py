"""What a client reads in a response: words, strings and lists of them (RFC 9051 §9), without our own code."""

import re

Said = str | None | list["Said"]

TOKEN = re.compile(
    rb' +|(?P<open>\()|(?P<close>\))|"(?P<quoted>(?:[^"\\\r\n]|\\["\\])*)"'
    rb'|~?\{(?P<octets>\d+)\}\r\n|(?P<atom>[^ ()"{}\r\n]+)'
)


def said(line: bytes) -> list[Said]:
    """The words of one response line, which must end it."""
    assert line.endswith(b"\r\n")
    stack: list[list[Said]] = [[]]
    at = 0
    while at < len(line) - 2:
        found = TOKEN.match(line, at)
        assert found is not None, line[at : at + 40]
        at = found.end()
        if found["open"]:
            stack.append([])
        elif found["close"]:
            stack[-2].append(stack.pop())
        elif found["quoted"] is not None:
            stack[-1].append(re.sub(rb'\\(["\\])', rb"\1", found["quoted"]).decode())
        elif found["octets"]:
            stack[-1].append(line[at : at + int(found["octets"])].decode("latin-1"))
            at += int(found["octets"])
        elif found["atom"]:
            stack[-1].append(None if found["atom"] == b"NIL" else found["atom"].decode())
    (words,) = stack
    return words
