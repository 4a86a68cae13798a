"""What a memory takes in, and from whom: origin of words, privacy, caps."""
