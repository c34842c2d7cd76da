"""The model, and where it comes from."""
