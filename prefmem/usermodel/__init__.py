"""What is known of a user beside the cards."""
