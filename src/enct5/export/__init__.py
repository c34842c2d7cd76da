"""The model in other formats."""
