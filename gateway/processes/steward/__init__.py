"""steward: looks at the clock for what falls due; one active, by lease."""
