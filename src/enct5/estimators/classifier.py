"""A classifier of texts."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score

from enct5.estimators.base import TextEstimator, told_as_value_error
from enct5.estimators.targets import read_targets

Array = npt.NDArray[Any]


class EncT5Classifier(ClassifierMixin, TextEstimator):
    """A T5 encoder that gives texts, or pairs of texts, one class each or any number of labels.

    Example:
        >>> classifier = EncT5Classifier(epochs=5).fit(["where is it?", "my money!", ...], ["parcel", "refund", ...])
        >>> classifier.predict(["is it lost?"]), classifier.predict_proba(["is it lost?"])
        >>> cross_val_score(EncT5Classifier(), texts, labels, cv=5)

    Attributes:
        classes_: The classes, in ascending order; of an indicator matrix its columns.
        predictor_: The trained model, an `enct5.Predictor`.
        metrics_: Its figures on the texts that the run held out.
    """

    without = ("token_decoder",)

    def fit(self, X: Any, y: Any) -> "EncT5Classifier":
        """Train on labelled texts.

        Args:
            X: Texts, or pairs `(A, B)`: a list, array or Series, or a table of one or two columns.
            y: One class a text. Or several labels: a matrix of 0 and 1 (n, labels), a table of such columns, whose
                names are the labels then, or lists of labels.

        Returns:
            Itself.

        Raises:
            ValueError: For texts, labels or parameters that cannot be used; `enct5.errors.EncT5Error` is one, too.
        """
        with told_as_value_error():
            targets, labels = read_targets(y)
        unnamed = {} if targets.named or self.label_prompts is not None else {"label_prompts": "pad"}  # type: ignore[attr-defined]
        self._train(X, labels, targets.task, **unnamed)
        self._targets, self.classes_ = targets, targets.classes
        return self

    def predict(self, X: Any) -> Any:
        """The class of every text (n,), of the type of `y`; of several labels what `fit` was given, a matrix or lists.

        A label is given where its score reaches its threshold, which `fit` has tuned.
        """
        key = "label" if self._fitted() and self._targets.kind == "single" else "labels"
        with told_as_value_error():
            found = [record[key] for record in self.predictor_.predict(self._texts(X))]
        if key == "label":
            return self.classes_[self._targets.columns(found)]
        if self._targets.kind == "indicator":
            return self._targets.matrix(found)
        return [self.classes_[self._targets.columns(names)].tolist() for names in found]

    def predict_proba(self, X: Any) -> Array:
        """The probability of every class (n, classes), in the order of `classes_`.

        They add up to 1, unless a text can have several labels. A column of which `fit` saw no 1 has 0.
        """
        predictor = self._fitted()
        with told_as_value_error():
            scores = predictor.task.scores(predictor.logits(self._texts(X)))
        id2label = predictor.model.config.id2label
        found = np.zeros((len(scores), len(self.classes_)))
        found[:, self._targets.columns([id2label[index] for index in range(len(id2label))])] = scores
        return found

    def score(self, X: Any, y: Any) -> float:
        """The share of texts whose class, or whose set of labels, is right."""
        predicted = self.predict(X)
        if self._targets.kind != "lists":
            return float(accuracy_score(y, predicted))
        right = [set(row) == set(found) for row, found in zip(y, predicted, strict=True)]
        return float(np.mean(right))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
