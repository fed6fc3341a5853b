"""What edge, imap and pop3 do alike: accept, PROXY header, TLS, session facts, stopping."""
