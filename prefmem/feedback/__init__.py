"""What a user did with what was shown: follow-ups, verdicts, edits."""
