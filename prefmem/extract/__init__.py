"""What a user said, turned into preferences."""
