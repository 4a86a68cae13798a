"""Training and export of the embedded models, on texts of our own."""
