"""IMAP: sockets, sign-in, and the sessions that open mailboxes."""
