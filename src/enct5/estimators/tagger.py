"""A tagger of words, or of parts of texts."""

from typing import Any

import numpy as np

from enct5.data.in_memory import values_of
from enct5.estimators.base import TextEstimator, told_as_value_error
from enct5.metrics.entities import Spans, entity_metrics
from enct5.tasks.entities import OUTSIDE
from enct5.tasks.tagging import TAGGING


class EncT5Tagger(TextEstimator):
    """A T5 encoder that finds entities: tags of words, or spans of texts.

    Example:
        >>> tagger = EncT5Tagger(epochs=5).fit([["Anna", "sleeps"], ...], [["B-person", "O"], ...])
        >>> tagger.predict([["Anna", "eats"]])

    Attributes:
        classes_: The tags: `O`, then `B-` and `I-` of every label.
        predictor_: The trained model, an `enct5.Predictor`.
        metrics_: Its figures on the texts that the run held out.
    """

    without = ("label_prompts", "label_descriptions", "loss", "class_weights", "label_smoothing")

    def fit(self, X: Any, y: Any) -> "EncT5Tagger":
        """Train on tagged texts.

        Args:
            X: Lists of words, or texts.
            y: A tag a word (BIO, BIOES or BILOU); or of texts lists of `{"start", "end", "label"}`.

        Returns:
            Itself.

        Raises:
            ValueError: For texts, tags or parameters that cannot be used; `enct5.errors.EncT5Error` is one, too.
        """
        with told_as_value_error():
            labels = values_of(y, "y")
        self._train(X, labels, "tokens")
        id2label = self.predictor_.model.config.id2label
        self.classes_ = np.array([id2label[index] for index in range(len(id2label))])
        return self

    def predict(self, X: Any) -> list[Any]:
        """A BIO tag for each word; or of texts the entities, as `Predictor.predict` gives them."""
        self._fitted()
        with told_as_value_error():
            texts = self._texts(X)
            found = [record["entities"] for record in self.predictor_.predict(texts)]
        return [
            entities if isinstance(text, str) else _tags(len(text), entities)
            for text, entities in zip(texts, found, strict=True)
        ]

    def score(self, X: Any, y: Any) -> float:
        """F1 of whole entities, over all labels."""
        self._fitted()
        with told_as_value_error():
            texts = self._texts(X)
            right = TAGGING.align(TAGGING.parse(values_of(y, "y"), "y", None), texts, "y")
            found = [record["entities"] for record in self.predictor_.predict(texts)]
        predicted: Spans = [[(one["start"], one["end"], one["label"]) for one in row] for row in found]
        wanted: Spans = [[(span.start, span.end, span.label) for span in row.spans] for row in right]
        return entity_metrics(predicted, wanted)["entity_f1"]

    def _texts(self, X: Any) -> list[Any]:
        """Texts, or lists of words."""
        return values_of(X, "X")


def _tags(words: int, entities: list[dict[str, Any]]) -> list[str]:
    tags = [OUTSIDE] * words
    for one in entities:
        tags[one["start"] : one["end"]] = [f"B-{one['label']}"] + [f"I-{one['label']}"] * (
            one["end"] - one["start"] - 1
        )
    return tags
