"""SASL seen from the server: what a client answers, read into what it claims."""
