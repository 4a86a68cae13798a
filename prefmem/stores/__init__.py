"""Where cards, events and states are kept."""
