"""packer: moves contents from the write-ahead into packs; one active, by lease."""
