"""Every reply the SMTP server core gives on its own. Constant text: nothing a peer sent comes back to it.

Source: RFC 5321 §4.2.3 and §4.3.2 (codes), RFC 3463 §3 and RFC 5248 (enhanced statuses).
"""

from gateway.mail.reply import reply

SENDER_OK = reply(250, "2.1.0", "Sender accepted")
RECIPIENT_OK = reply(250, "2.1.5", "Recipient accepted")
DONE = reply(250, "2.0.0", "Done")
HELP = reply(214, "2.0.0", "Commands are those of RFC 5321")
GOODBYE = reply(221, "2.0.0", "Goodbye")
CANNOT_VERIFY = reply(252, "2.5.0", "Send some mail, it will be tried")  # RFC 5321 §3.5.3, §7.3
TLS_READY = reply(220, "2.0.0", "Ready to start TLS")
SIGNED_IN = reply(235, "2.7.0", "Signed in")
CHUNK_TAKEN = reply(250, "2.0.0", "Chunk taken")
SEND_MESSAGE = reply(354, None, "End the message with a dot on a line of its own")

UNRECOGNISED = reply(500, "5.5.2", "Command unrecognised")
NOT_IMPLEMENTED = reply(502, "5.5.1", "Command not implemented")
LINE_TOO_LONG = reply(500, "5.5.2", "Line too long")
NOT_PRINTABLE = reply(500, "5.5.2", "Command has octets that are neither printable nor UTF-8")
BAD_SEQUENCE = reply(503, "5.5.1", "Bad sequence of commands")
BAD_ARGUMENTS = reply(501, "5.5.4", "Syntax error in arguments")
BAD_SENDER = reply(501, "5.1.7", "Sender address is not valid")
BAD_RECIPIENT = reply(501, "5.1.3", "Recipient address is not valid")
UNKNOWN_PARAMETER = reply(555, "5.5.4", "Parameter not recognised or not implemented")
NEEDS_SMTPUTF8 = reply(553, "5.6.7", "Address needs the SMTPUTF8 parameter")  # RFC 6531 §3.5
MESSAGE_TOO_LARGE = reply(552, "5.3.4", "Message is larger than the limit")  # RFC 1870 §6.1 (4)
TOO_MANY_RECIPIENTS = reply(452, "4.5.3", "Too many recipients, send the rest in another mail")
NO_RECIPIENTS = reply(554, "5.5.1", "No valid recipients")  # RFC 5321 §3.3, RFC 2920 §3.1

# RFC 4954 §4 and §6.
UNKNOWN_MECHANISM = reply(504, "5.5.4", "Mechanism is not offered")
NOT_BASE64 = reply(501, "5.5.2", "Response is not base64")
RESPONSE_TOO_LONG = reply(500, "5.5.6", "Response is too long")
BAD_RESPONSE = reply(501, "5.5.2", "Response is not what the mechanism says")
CANCELLED = reply(501, "5.7.0", "Sign-in cancelled")
BAD_CREDENTIALS = reply(535, "5.7.8", "User name or password is not valid")
SIGN_IN_FIRST = reply(530, "5.7.0", "Sign in first")
TLS_FIRST = reply(530, "5.7.0", "Start TLS first")  # RFC 3207 §4
TOO_MANY_SIGN_INS = reply(421, "4.7.0", "Too many failed sign-ins, closing connection")

# RFC 5321 §2.3.8 forbids both in what is sent; hosts that see line ends in them are open to smuggling.
BARE_NEWLINE = reply(550, "5.6.0", "Bare CR or LF is not allowed")
# RFC 2045 §2.7 and §2.8: 7bit and 8bit data has none; hosts that drop it see other lines. IMAP cannot send it
# as text either (RFC 9051 §9, CHAR8). Precedent: Cyrus IMAP lmtpd.
NULL_OCTET = reply(550, "5.6.0", "NUL is allowed in a binary body alone")
NOT_SMTP = reply(554, "5.5.1", "This is SMTP")
TOO_MANY_ERRORS = reply(421, "4.7.0", "Too many errors, closing connection")
TOO_FAR_AHEAD = reply(421, "4.7.0", "Too much sent ahead of our replies, closing connection")
