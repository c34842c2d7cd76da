"""Estimators of scikit-learn: texts in the place of rows of numbers, the settings of training as parameters."""

from enct5.estimators.classifier import EncT5Classifier
from enct5.estimators.regressor import EncT5Regressor
from enct5.estimators.tagger import EncT5Tagger

__all__ = ["EncT5Classifier", "EncT5Regressor", "EncT5Tagger"]
