"""A regressor of texts."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import RegressorMixin
from sklearn.utils import check_array

from enct5.estimators.base import TextEstimator, told_as_value_error

Array = npt.NDArray[Any]


class EncT5Regressor(RegressorMixin, TextEstimator):
    """A T5 encoder that gives texts, or pairs of texts, a number each, or several.

    Example:
        >>> regressor = EncT5Regressor(epochs=5).fit(pairs, similarities)
        >>> regressor.predict([("a cat", "a dog")])

    Attributes:
        predictor_: The trained model, an `enct5.Predictor`.
        metrics_: Its figures on the texts that the run held out.
    """

    without = ("token_decoder", "label_prompts", "label_descriptions", "loss", "class_weights", "label_smoothing")

    def fit(self, X: Any, y: Any) -> "EncT5Regressor":
        """Train on texts and their numbers.

        Args:
            X: Texts, or pairs `(A, B)`: a list, array or Series, or a table of one or two columns.
            y: Numbers (n,) or (n, targets).

        Returns:
            Itself.

        Raises:
            ValueError: For texts, numbers or parameters that cannot be used; `enct5.errors.EncT5Error` is one, too.
        """
        numbers = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        self._train(X, numbers.tolist(), "regression")
        self._shape = numbers.shape[1:]
        return self

    def predict(self, X: Any) -> Array:
        """The numbers, of the shape of `y`."""
        predictor = self._fitted()
        with told_as_value_error():
            found = np.asarray(predictor.logits(self._texts(X)), dtype=np.float64)
        return found.reshape(len(found), *self._shape)
