"""Messages the tests send, as octets: Thai subjects, attachments, markers."""

import email
import email.policy
import hashlib
import secrets
from email.message import EmailMessage

POLICY = email.policy.SMTP


def thai_message(
    message_id: str, *, to: list[str], attachment: bytes, name: str = "รายงานการประชุม.bin"
) -> bytes:
    """Thai subject and text, and one attachment, as a common client would write it."""
    message = EmailMessage(policy=POLICY)
    message["From"] = "สมชาย ใจดี <somchai@opm.go.th>"
    message["To"] = ", ".join(to)
    message["Subject"] = "ขอเชิญประชุมคณะกรรมการ ครั้งที่ ๑/๒๕๖๙"
    message["Message-ID"] = message_id
    message["Date"] = "Mon, 23 Nov 2026 09:00:00 +0700"
    message.set_content("เรียน ทุกท่าน\n\n.จุดนำหน้าบรรทัด\nFrom ต้นบรรทัด\nวันจันทร์ ๙ นาฬิกา\n")
    message.add_attachment(attachment, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()


def new_message_id() -> str:
    return f"<{secrets.token_hex(8)}@test.example>"


def attachments_of(octets: bytes) -> dict[str, str]:
    """File name → SHA-256 of each attachment, as another program's parser finds them."""
    message = email.message_from_bytes(octets, policy=POLICY)
    found = {}
    for part in message.iter_attachments():
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        found[part.get_filename() or ""] = hashlib.sha256(content).hexdigest()
    return found


def front_of(presented: bytes, sent: bytes) -> bytes:
    """What the gateway put before a message it was sent. Fails when the rest is not what was sent."""
    assert presented.endswith(sent), f"of {len(sent)} octets sent, {difference(presented, sent)}"
    front = presented[: len(presented) - len(sent)]
    assert front.startswith(b"Return-Path: <"), front[:200]
    assert b"\r\nReceived: from " in front, front[:400]
    assert front.endswith(b"\r\n"), front[-100:]
    assert b"\r\n\r\n" not in front, front
    return front


def difference(presented: bytes, sent: bytes) -> str:
    """Where two messages part, seen from their ends."""
    shorter = min(len(presented), len(sent))
    same = next((n for n in range(shorter) if presented[-1 - n] != sent[-1 - n]), shorter)
    at = len(sent) - same
    return f"the last {same} came back; before that {sent[max(0, at - 60) : at + 20]!r} was sent"
