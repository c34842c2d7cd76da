"""What is true of any text, whatever reads it."""
