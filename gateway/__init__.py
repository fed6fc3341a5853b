"""Saraban, an event-sourced mail gateway for government. `docs/developer.md` says where to find what."""
