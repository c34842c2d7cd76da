"""Token tagging: entities within a text."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from enct5.metrics.entities import Spans, entity_metrics, per_label_entities
from enct5.metrics.thresholds import Thresholds
from enct5.tasks import entities
from enct5.tasks.base import Task, count_names, ids_of, rarest_labels, softmax
from enct5.tasks.details import MOST_MISTAKES, Details, Evaluated, Mistake, Usage, listed, scored
from enct5.tasks.entities import Entities
from enct5.tasks.notes import odd_names
from enct5.tokenization.windows import TaggedText, Windows

if TYPE_CHECKING:
    from enct5.tasks.entities import Entities


# Scripts that are written without blanks between words: Thai to Khmer, kana, Han.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


def _is_inside_word(text: str, place: int) -> bool:
    sides = text[max(place - 1, 0) : place + 1]
    return 0 < place < len(text) and sides.isalnum() and not _UNSPACED.search(sides)


def _decoded(tagged: Sequence[TaggedText], id2label: Mapping[int, str]) -> list[dict[str, Any]]:
    return [{"entities": _entities_of(one, id2label)} for one in tagged]


def _entities_of(tagged: TaggedText, id2label: Mapping[int, str]) -> list[dict[str, Any]]:
    """The entities of a text; a score is the mean probability of the tags of an entity's tokens."""
    if not len(tagged.offsets):
        return []
    best, probabilities = tagged.logits.argmax(axis=-1), softmax(tagged.logits).max(axis=-1)
    spans, scores, reached = [], [], 0
    for found in entities.spans_of_tags([id2label[int(tag)] for tag in best]):
        start, end = int(tagged.offsets[found.start, 0]), int(tagged.offsets[found.end - 1, 1])
        # tokens of one character (its bytes, say) may have different tags
        start, end = entities.without_blanks(tagged.text, max(start, reached), end)
        if start < end:
            spans.append(entities.Span(start, end, found.label))
            scores.append(float(probabilities[found.start : found.end].mean()))
            reached = end
    return entities.as_records(tagged.text, spans, scores)


def _entity_pairs(tagged: Any, wanted: Any, names: Sequence[str]) -> tuple[Spans, Spans]:
    """Predicted and right entities as `(start, end, label)`."""
    known = entities.entity_labels(names)
    predicted = _decoded(tagged, dict(enumerate(names)))
    return (
        [[(one["start"], one["end"], one["label"]) for one in row["entities"]] for row in predicted],
        [[(start, end, known[label]) for start, end, label in row] for row in wanted],
    )


class Tagging(Task):
    """Entities within a text."""

    name = "token_classification"
    alias = "tokens"
    synonyms = (
        *("token", "token-classification", "ner", "named-entity-recognition", "tagging", "entities"),
        *("sequence-labeling", "sequence-labelling"),
    )
    description = "token tagging: entities within a text"
    prediction_columns = ("entities",)
    metric_for_best_model = "entity_f1"
    inputs = Windows
    counted = "entities"
    options = ("token_decoder",)
    usage = Usage(
        predicts="the entities",
        decoding="""\
for ids, scores in zip(inputs["input_ids"], logits.softmax(dim=-1)):
    for token, best in zip(tokenizer.convert_ids_to_tokens(ids), scores.argmax(dim=-1)):
        print(token, model.config.id2label[int(best)])""",
        pipeline_options="",
        auto_class="AutoModelForTokenClassification",
        pipeline_tag="token-classification",
        pipeline_arguments=', aggregation_strategy="simple"',
        decoder="one T5 decoder layer over the text's own tokens (if config.json sets `token_decoder`)",
        windows=True,
    )

    def encode(self, values: Sequence[Entities], label2id: Mapping[str, int]) -> Any:
        """Spans of label numbers, a list a text."""
        tags = sorted(label2id, key=label2id.__getitem__)
        index = {label: number for number, label in enumerate(entities.entity_labels(tags))}
        ids_of([label for row in values for label in row.labels], index)  # refuses labels that the model does not know
        return entities.encode(values, index)

    def class_counts(self, values: Sequence[Entities]) -> dict[str, int]:
        """The number of entities of each label."""
        return count_names([label for row in values for label in row.labels])

    def notes(self, column: Sequence[Any], values: Sequence["Entities"], texts: Sequence[Any]) -> list[str]:
        """Notes on labels that are alike, and on entities that begin or end inside a word."""
        notes = odd_names(Counter(label for row in values for label in row.labels))
        inside = [
            (row, span)
            for row, (value, text) in enumerate(zip(values, texts, strict=True))
            for span in value.spans
            if isinstance(text, str) and (_is_inside_word(text, span.start) or _is_inside_word(text, span.end))
        ]
        if inside:
            row, span = inside[0]
            total = sum(len(row.spans) for row in values)
            notes.append(
                f"{len(inside)} of {total} entities begin or end inside a word (first: row {row + 1}, {span.start} to "
                f"{span.end}); start and end count characters from 0, the end excluded"
            )
        return notes

    def details(self, evaluation: Evaluated) -> Details:
        """The texts with the most missed and wrong entities."""
        tags = dict(enumerate(entities.tag_names(evaluation.names)))
        tagged: Any = evaluation.scores
        results = _decoded(tagged, tags)
        mistakes = []
        for row, (texts, result, right) in enumerate(zip(evaluation.rows, results, evaluation.labels, strict=True)):
            (column, text), *_ = texts.items()
            wanted = {entities.Span(start, end, evaluation.names[label]) for start, end, label in right}
            found = {entities.Span(one["start"], one["end"], one["label"]): one["score"] for one in result["entities"]}
            missed, wrong = sorted(wanted - found.keys(), key=_place), sorted(found.keys() - wanted, key=_place)
            facts = {
                "Missed": listed(f"{span.label}: {entities.content(text, span)}" for span in missed),
                "Wrongly found": listed(
                    scored(f"{span.label}: {entities.content(text, span)}", found[span]) for span in wrong
                ),
            }
            if missed or wrong:
                shown = text if isinstance(text, str) else " ".join(text)
                mistakes.append((-len(missed) - len(wrong), row, Mistake({column: shown}, facts)))
        note = f"{len(mistakes)} of {len(results)} texts have an entity too many or too few; those with the most."
        return Details([mistake for _, _, mistake in sorted(mistakes)[:MOST_MISTAKES]], note)

    def parse(self, values: Sequence[Any], column: str, separator: str | None) -> list[Entities]:
        """The entities of each row."""
        return entities.parse_entities(values, column, separator)

    def align(self, values: Sequence[Entities], texts: Sequence[Any], column: str) -> list[Entities]:
        """Entities in units of their texts."""
        return entities.align_entities(values, texts, column)

    def label_names(self, values: Sequence[Entities]) -> list[str]:
        """BIO tags."""
        return entities.tags_of_values(values)

    def strata(self, values: Sequence[Entities]) -> list[str]:
        """Of each row's labels the rarest."""
        return rarest_labels([row.labels for row in values])

    def scores(self, logits: Any) -> Any:
        """The logits themselves."""
        return logits

    def decode(
        self, logits: Sequence[TaggedText], id2label: Mapping[int, str], thresholds: Thresholds
    ) -> list[dict[str, Any]]:
        """The entities of each text."""
        return _decoded(logits, id2label)

    def metrics(self, logits: Any, labels: Any, names: Sequence[str], thresholds: Thresholds) -> dict[str, float]:
        """Figures of whole entities."""
        return entity_metrics(*_entity_pairs(logits, labels, names))

    def per_label(self, logits: Any, labels: Any, names: Sequence[str], thresholds: Thresholds) -> list[dict[str, Any]]:
        """Precision, recall and F1 of each label."""
        return per_label_entities(*_entity_pairs(logits, labels, names), entities.entity_labels(names))


TAGGING = Tagging()


def _place(span: entities.Span) -> int:
    return span.start
