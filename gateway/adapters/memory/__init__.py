"""The ports in memory, for tests and the simulator: they keep the same contracts as the real adapters."""
