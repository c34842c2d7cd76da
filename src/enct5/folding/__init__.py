"""Folding: a trained model rewritten to predict, with the same logits but for rounding, in less time and memory."""

from enct5.folding.model import KNOWN_MODULES, FoldedEncT5, check_foldable, runs_of

__all__ = ["KNOWN_MODULES", "FoldedEncT5", "check_foldable", "runs_of"]
