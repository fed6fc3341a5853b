"""POP3: sockets, sign-in, and the sessions that fetch what is in INBOX."""
