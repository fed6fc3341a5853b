"""POP3 without a socket: commands in, a maildrop of one moment, responses out."""
