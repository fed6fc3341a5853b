"""Every text of the account page, in Thai and in English; and which of the two somebody wants.

Source: RFC 9110 §12.5.4 (Accept-Language), RFC 4647 §3.4 (lookup).
"""

from typing import Final, Literal, NamedTuple

Language = Literal["th", "en"]
LANGUAGES: Final[dict[Language, str]] = {"th": "ไทย", "en": "English"}
FIRST: Final[Language] = "th"  # who wants neither


class Text(NamedTuple):
    """`{name}` in it is filled in by `say`."""

    th: str
    en: str


TEXTS: Final[dict[str, Text]] = {
    # --- the frame
    "title": Text("บัญชีอีเมลของฉัน", "My mail account"),
    "languages": Text("ภาษา", "Language"),
    "skip": Text("ข้ามไปยังเนื้อหา", "Skip to the content"),
    "sign-out": Text("ออกจากระบบ", "Sign out"),
    "home": Text("กลับไปหน้าบัญชีของฉัน", "Back to my account"),
    "again": Text("กลับไปหน้าลงชื่อเข้าใช้", "Back to signing in"),
    # --- signing in
    "sign-in": Text("ลงชื่อเข้าใช้", "Sign in"),
    "address": Text("ที่อยู่อีเมล", "Mail address"),
    "continue": Text("ดำเนินการต่อ", "Continue"),
    "password": Text("รหัสผ่าน", "Password"),
    "password-hint": Text(
        "รหัสผ่านของบัญชี ไม่ใช่รหัสผ่านสำหรับแอป",
        "The password of your account; an app password does not do here.",
    ),
    "code": Text("รหัสจากแอปยืนยันตัวตน (ถ้ามี)", "Code of your authenticator (if you have one)"),
    "no-address": Text("ที่อยู่อีเมลต้องเป็นเช่น somchai@opm.go.th", "A mail address is such as somchai@opm.go.th."),
    "wrong": Text("ที่อยู่อีเมลหรือรหัสผ่านไม่ถูกต้อง", "The address or the password is wrong."),
    "wrong-code": Text(
        "ต้องใช้รหัสปัจจุบันจากแอปยืนยันตัวตน โปรดพิมพ์รหัสผ่านและรหัสอีกครั้ง",
        "The code that your authenticator shows now is needed: type password and code again.",
    ),
    "throttled": Text(
        "ลงชื่อเข้าใช้ผิดพลาดหลายครั้งเกินไป โปรดลองใหม่ในอีกสักครู่",
        "There were too many failed sign-ins: try again later.",
    ),
    "suspended": Text(
        "บัญชีนี้ถูกระงับ โปรดติดต่อผู้ดูแลอีเมลของหน่วยงาน", "The account is suspended: ask your agency's administrator."
    ),
    "trial-ended": Text(
        "การทดลองใช้ของหน่วยงานสิ้นสุดแล้ว โปรดติดต่อผู้ดูแลอีเมลของหน่วยงาน",
        "The trial of your agency has ended: ask your agency's administrator.",
    ),
    "closed": Text(
        "บัญชีนี้ถูกปิดแล้ว โปรดติดต่อผู้ดูแลอีเมลของหน่วยงาน", "The account is closed: ask your agency's administrator."
    ),
    "banned": Text(
        "บัญชีนี้ถูกห้ามใช้งานชั่วคราว โปรดติดต่อผู้ดูแลระบบ", "The account is banned for a time: ask your administrator."
    ),
    "provider-what": Text(
        "บุคลากรของหน่วยงานนี้ลงชื่อเข้าใช้ที่ {host} ด้วยรหัสผ่านของที่นั่น",
        "People of this agency sign in at {host}, with their password there.",
    ),
    "provider-go": Text("ลงชื่อเข้าใช้ที่ {host}", "Sign in at {host}"),
    "wrong-way": Text(
        "การลงชื่อเข้าใช้นี้ไม่ได้เริ่มจากเบราว์เซอร์นี้ หรือนานเกินไปแล้ว โปรดเริ่มใหม่",
        "This sign-in was not begun by this browser, or too long ago: begin again.",
    ),
    "not-let-in": Text(
        "ผู้ให้บริการยืนยันตัวตนของหน่วยงานไม่ยืนยันการลงชื่อเข้าใช้นี้ โปรดเริ่มใหม่ หรือติดต่อผู้ดูแลอีเมลของหน่วยงาน",
        "Your agency's identity provider does not confirm this: begin again, or ask your administrator.",
    ),
    "not-ours": Text(
        "ผู้ให้บริการยืนยันตัวตนรู้จักท่านในชื่อ {name} ซึ่งไม่ใช่ที่อยู่อีเมลของบัญชีในหน่วยงานนี้ โปรดติดต่อผู้ดูแลอีเมล",
        "The provider knows you as {name}, which is no account's address here: ask your administrator.",
    ),
    "provider-away": Text(
        "ผู้ให้บริการยืนยันตัวตนของหน่วยงานไม่ตอบ โปรดลองใหม่ในอีกสักครู่",
        "Your agency's identity provider does not answer: try again in a while.",
    ),
    "ended": Text("การลงชื่อเข้าใช้สิ้นสุดแล้ว โปรดลงชื่อเข้าใช้ใหม่", "You are not signed in any more: sign in again."),
    "signed-out": Text("ออกจากระบบแล้ว", "You are signed out."),
    # --- an invitation
    "have-invitation": Text("ได้รับรหัสเชิญ", "I have an invitation"),
    "invitation": Text("ตั้งรหัสผ่านแรก", "Set your first password"),
    "invitation-what": Text(
        "ผู้ดูแลอีเมลของหน่วยงานให้รหัสเชิญแก่ท่าน ใช้ได้ครั้งเดียวภายใน 30 วัน",
        "Your agency's administrator has given you the code of an invitation: it works once, within 30 days.",
    ),
    "invitation-code": Text("รหัสเชิญ", "Code of the invitation"),
    "new-password": Text("รหัสผ่านใหม่", "New password"),
    "repeated": Text("รหัสผ่านใหม่อีกครั้ง", "New password again"),
    "password-rules": Text(
        "อย่างน้อย 12 ตัวอักษร ไม่ใช่ที่อยู่ของท่านเอง ไม่ซ้ำกับห้ารหัสผ่านล่าสุด และไม่ใช่รหัสผ่านที่ใคร ๆ ก็ลองก่อน",
        "At least 12 characters: not your address, none of your last five, none that everybody tries first.",
    ),
    "set-password": Text("ตั้งรหัสผ่าน", "Set the password"),
    "not-repeated": Text("รหัสผ่านสองช่องไม่ตรงกัน โปรดพิมพ์อีกครั้ง", "The two passwords differ: type them again."),
    "not-invited": Text(
        "ที่อยู่นี้ไม่มีรหัสเชิญดังกล่าว หรือรหัสถูกใช้แล้วหรือหมดอายุ โปรดขอรหัสใหม่จากผู้ดูแลอีเมลของหน่วยงาน",
        "This address has no invitation with that code, or it was used or has run out: ask for another one.",
    ),
    "password-set": Text("ตั้งรหัสผ่านแล้ว โปรดลงชื่อเข้าใช้", "The password is set: sign in."),
    # --- the account
    "account": Text("บัญชีของฉัน", "My account"),
    "name": Text("ชื่อ", "Name"),
    "addresses": Text("ที่อยู่อีเมลทั้งหมด", "Addresses"),
    "used": Text("พื้นที่ที่ใช้", "Room used"),
    "used-of": Text(
        "{used} จาก {quota} ({percent}%) อีเมล {messages} ฉบับ",
        "{used} of {quota} ({percent}%), {messages} messages",
    ),
    # --- app passwords
    "app-passwords": Text("รหัสผ่านสำหรับแอป", "App passwords"),
    "app-passwords-what": Text(
        "โปรแกรมหรือโทรศัพท์แต่ละเครื่องใช้รหัสผ่านของตัวเอง หากเครื่องหายให้เพิกถอนเฉพาะรหัสผ่านนั้น",
        "Each program or phone has a password of its own; when one is lost, that one alone is revoked.",
    ),
    "none": Text("ยังไม่มี", "None yet."),
    "label": Text("ใช้กับ", "What it is for"),
    "label-hint": Text("เช่น Thunderbird ที่บ้าน", "Such as: Thunderbird at home"),
    "made": Text("สร้างเมื่อ", "Made"),
    "ends": Text("ใช้ได้ถึง", "Ends"),
    "never": Text("ไม่มีกำหนด", "never"),
    "protocols": Text("โพรโทคอล", "Protocols"),
    "protocols-hint": Text("ไม่เลือกหมายถึงทุกโพรโทคอล", "None chosen means all of them."),
    "networks": Text("เครือข่าย", "Networks"),
    "networks-hint": Text(
        "เช่น 192.0.2.0/24 คั่นด้วยช่องว่าง เว้นว่างหมายถึงจากทุกที่",
        "Such as 192.0.2.0/24, with spaces between; empty means from anywhere.",
    ),
    "days": Text("ใช้ได้กี่วัน", "For how many days"),
    "days-hint": Text(
        "ตั้งแต่ 1 ถึง 3650 วัน เว้นว่างหมายถึงไม่มีกำหนด", "From 1 to 3650; empty means that it does not end."
    ),
    "all": Text("ทั้งหมด", "all"),
    "make": Text("สร้างรหัสผ่านใหม่", "Make an app password"),
    "made-title": Text("รหัสผ่านใหม่", "The new app password"),
    "made-once": Text(
        "รหัสผ่านนี้แสดงเพียงครั้งเดียว โปรดพิมพ์ลงในโปรแกรมเดี๋ยวนี้ รวมทั้งขีดด้วย ชื่อผู้ใช้คือที่อยู่อีเมลของท่าน",
        "It is shown once: type it into the program now, dashes too. The user name is your address.",
    ),
    "revoke": Text("เพิกถอน", "Revoke"),
    "revoke-title": Text("เพิกถอนรหัสผ่านสำหรับแอป", "Revoke an app password"),
    "revoke-sure": Text(
        "โปรแกรมที่ใช้รหัสผ่าน “{label}” จะลงชื่อเข้าใช้ไม่ได้อีก และเรียกคืนไม่ได้",
        "No program will sign in with “{label}” any more; this cannot be undone.",
    ),
    "revoked": Text("เพิกถอนรหัสผ่านแล้ว", "The app password is revoked."),
    "bad-label": Text(
        "คำอธิบายต้องยาว 1 ถึง {most} ตัวอักษรในบรรทัดเดียว",
        "What it is for takes from 1 to {most} characters on one line.",
    ),
    "bad-days": Text(
        "จำนวนวันต้องเป็นเลขตั้งแต่ 1 ถึง 3650 หรือเว้นว่าง", "The days are a number from 1 to 3650, or empty."
    ),
    "bad-networks": Text(
        "เครือข่ายต้องเป็นเช่น 192.0.2.0/24 หรือ 2001:db8::/32",
        "A network is such as 192.0.2.0/24 or 2001:db8::/32.",
    ),
    "too-many": Text(
        "หนึ่งบัญชีมีรหัสผ่านสำหรับแอปได้ไม่เกิน {most} รหัส โปรดเพิกถอนก่อน",
        "An account has at most {most} app passwords: revoke one first.",
    ),
    "no-app-password": Text(
        "ไม่มีรหัสผ่านนี้ อาจถูกเพิกถอนไปแล้ว", "There is no such app password; it may be revoked already."
    ),
    # --- forwarding
    "forwarding": Text("ส่งต่ออีเมลของฉัน", "Forward my mail"),
    "forward-nowhere": Text("หน่วยงานของท่านไม่อนุญาตให้ส่งต่ออีเมล", "Your agency does not let mail be forwarded."),
    "forward-inside": Text(
        "หน่วยงานของท่านอนุญาตให้ส่งต่อไปยังหน่วยงานในระบบนี้เท่านั้น",
        "Your agency lets mail be forwarded to agencies of this gateway alone.",
    ),
    "forward-anywhere": Text(
        "หน่วยงานของท่านอนุญาตให้ส่งต่อไปยังที่อยู่ใดก็ได้", "Your agency lets mail be forwarded to any address."
    ),
    "forwards-nowhere": Text("ขณะนี้อีเมลไม่ถูกส่งต่อ", "Your mail is forwarded to nobody now."),
    "forwards-to": Text("ขณะนี้อีเมลถูกส่งต่อไปยัง", "Your mail is forwarded to:"),
    "target-not-allowed": Text("หน่วยงานไม่อนุญาต จึงไม่ส่งต่อ", "not allowed by your agency, so it is not"),
    "target-rests": Text("พักไว้ระหว่างถูกระงับ", "rests while you are suspended"),
    "copy-kept": Text("และเก็บไว้ในกล่องจดหมายนี้ด้วย", "It comes into this mailbox as well."),
    "copy-not-kept": Text("และไม่เก็บไว้ในกล่องจดหมายนี้", "It does not come into this mailbox."),
    "forwarding-stop": Text("หยุดส่งต่อ", "Stop forwarding"),
    "forward-to": Text("ส่งต่อไปยัง", "Forward to"),
    "forward-to-hint": Text(
        "ที่อยู่อีเมลไม่เกิน {most} ที่อยู่ คั่นด้วยช่องว่าง", "Up to {most} mail addresses, with spaces between."
    ),
    "forward-copy": Text("เก็บไว้ในกล่องจดหมายนี้ด้วย", "Keep a copy in this mailbox"),
    "forward-set": Text("ส่งต่อ", "Forward"),
    "forwarding-set": Text("ตั้งการส่งต่อแล้ว", "Your mail is forwarded from here on."),
    "forwarding-removed": Text("หยุดส่งต่อแล้ว", "Your mail is not forwarded any more."),
    # --- own sign-ins
    "sign-ins": Text("การลงชื่อเข้าใช้ของฉัน", "My sign-ins"),
    "sign-ins-what": Text(
        "ใหม่ที่สุดก่อน หากมีรายการที่ไม่ใช่ของท่าน โปรดเพิกถอนรหัสผ่านสำหรับแอป และแจ้งผู้ดูแลอีเมล",
        "Newest first. If one is not yours, revoke app passwords, and tell your administrator.",
    ),
    "when": Text("เวลา", "Time"),
    "from": Text("จากที่อยู่ IP", "From (IP address)"),
    "how": Text("วิธี", "How"),
    "outcome": Text("ผล", "Outcome"),
    "erased": Text("ลบแล้ว", "erased"),
    "older": Text("รายการเก่ากว่า", "Older"),
    "newest": Text("รายการใหม่ที่สุด", "Newest"),
    "sign-in-accepted": Text("สำเร็จ", "let in"),
    "why-unknown": Text("ปฏิเสธ: ไม่มีชื่อนี้", "refused: no such name"),
    "why-password": Text("ปฏิเสธ: รหัสผ่านผิด", "refused: wrong password"),
    "why-token": Text("ปฏิเสธ: โทเค็นใช้ไม่ได้", "refused: token not valid"),
    "why-no-provider": Text(
        "ปฏิเสธ: หน่วยงานไม่มีผู้ให้บริการยืนยันตัวตน", "refused: the agency has no identity provider"
    ),
    "why-suspended": Text("ปฏิเสธ: บัญชีถูกระงับ", "refused: account suspended"),
    "why-trial-ended": Text("ปฏิเสธ: ระยะทดลองใช้ของหน่วยงานสิ้นสุดแล้ว", "refused: the agency's trial has ended"),
    "why-banned": Text("ปฏิเสธ: บัญชีถูกห้าม", "refused: account banned"),
    "why-closed": Text("ปฏิเสธ: บัญชีถูกปิด", "refused: account closed"),
    "why-acts-as": Text("ปฏิเสธ: ขอใช้ในนามผู้อื่น", "refused: wanted to act as somebody else"),
    "why-throttled": Text("ปฏิเสธ: ผิดพลาดหลายครั้งเกินไป", "refused: too many failures"),
    "why-expired": Text("ปฏิเสธ: รหัสผ่านสำหรับแอปหมดอายุ", "refused: app password expired"),
    "why-protocol": Text(
        "ปฏิเสธ: รหัสผ่านสำหรับแอปไม่ใช่ของโพรโทคอลนี้", "refused: app password not for this protocol"
    ),
    "why-network": Text("ปฏิเสธ: รหัสผ่านสำหรับแอปไม่ใช่ของเครือข่ายนี้", "refused: app password not for this network"),
    "why-invitation": Text("ปฏิเสธ: รหัสเชิญใช้ไม่ได้", "refused: no such invitation"),
    "why-code": Text("ปฏิเสธ: รหัสจากแอปยืนยันตัวตนผิด", "refused: wrong code of the authenticator"),
    # --- what is not done
    "error": Text("ทำรายการไม่ได้", "This was not done"),
    "not-here": Text("ไม่มีหน้านี้", "There is no such page."),
    "not-done": Text("หน้านี้ทำแบบนั้นไม่ได้", "This is not done here."),
    "too-large": Text("แบบฟอร์มใหญ่เกินไป", "The form is too large."),
    "no-form": Text("ข้อมูลที่ส่งมาไม่ใช่แบบฟอร์มของหน้านี้", "What was sent is no form of this page."),
    "forged": Text(
        "แบบฟอร์มนี้หมดอายุหรือไม่ได้มาจากหน้านี้ จึงไม่มีอะไรเปลี่ยนแปลง โปรดเปิดหน้าใหม่แล้วลองอีกครั้ง",
        "The form is too old, or not of this page; nothing was changed. Open the page again and repeat it.",
    ),
    "use-https": Text(
        "หน้านี้ใช้ได้ผ่าน HTTPS เท่านั้น โปรดเปิดด้วย https://", "This page is there over TLS only: open it with https."
    ),
    "refused": Text("ระบบไม่ยอมรับรายการนี้", "The gateway refused this."),
    "unavailable": Text(
        "ขณะนี้ระบบทำรายการนี้ไม่ได้ โปรดลองใหม่ในอีกสักครู่", "The gateway cannot do this now: try again in a while."
    ),
    "may-happen": Text(
        "ระบบไม่ตอบทันเวลา รายการนี้อาจสำเร็จแล้ว โปรดตรวจดูก่อนทำซ้ำ",
        "The gateway did not answer in time, and this may still happen: look before you do it again.",
    ),
    "mistake": Text(
        "ระบบเกิดข้อผิดพลาด โปรดแจ้งผู้ดูแลระบบ", "The gateway made a mistake: tell your administrator."
    ),
}


def say(name: str, language: Language, /, **values: object) -> str:
    """A text in a language. A name that is none is our own mistake: KeyError."""
    text: str = getattr(TEXTS[name], language)
    return text.format(**values) if values else text


def wanted(*said: str) -> Language:
    """The first of ours that somebody asks for: by a choice, a cookie, or Accept-Language; "": nothing."""
    *chosen, accepted = said
    for each in chosen:
        if each in LANGUAGES:
            return "th" if each == "th" else "en"
    return _accepted(accepted)


def _accepted(header: str) -> Language:
    """By Accept-Language: the highest weight, the first among equals."""
    best: tuple[float, Language] = (0.0, FIRST)
    for part in header.split(",")[:20]:
        tag, _, parameter = part.partition(";")
        tag = tag.strip().lower().partition("-")[0]
        weight = _weight(parameter.strip())
        if tag in LANGUAGES and weight > best[0]:
            best = weight, "th" if tag == "th" else "en"
    return best[1]


def _weight(parameter: str) -> float:
    """RFC 9110 §12.4.2; what is no weight is none."""
    if not parameter:
        return 1.0
    name, _, value = parameter.partition("=")
    try:
        weight = float(value) if name.strip() == "q" else 0.0
    except ValueError:
        return 0.0
    return weight if 0.0 <= weight <= 1.0 else 0.0
