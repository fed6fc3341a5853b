"""Signing in: whose name a client may act under. Used by whoever lets people in."""
