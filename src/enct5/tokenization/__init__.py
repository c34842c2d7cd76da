"""Texts to rows of token ids, and back."""
