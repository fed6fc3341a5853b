"""The composition root: the only room that knows adapters and processes, and joins them (architecture §3)."""
