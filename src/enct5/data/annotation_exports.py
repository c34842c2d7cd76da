"""Exports of labelling tools whose rows are no plain ones: Label Studio, Argilla, spaCy, NER Annotator.

The rows that they become have a column for each field of the text and for each question; a row that nobody has
answered is marked as Prodigy marks one that was passed over.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from enct5.errors import EncT5Error, show

ANSWER, ACCEPTED, IGNORED = "answer", "accept", "ignore"  # a column of Prodigy, and two of its values
_VALUES = ("choices", "labels", "hypertextlabels", "paragraphlabels", "rating", "number")  # of Label Studio's results


class Form(NamedTuple):
    """A tool's form of rows.

    Attributes:
        tool: Its name.
        flat: From such a row to a plain one; anything else comes back as it is.
    """

    tool: str
    flat: Callable[[Any], Any]


def form_of_row(row: Any) -> Form | None:
    """The form of a file's rows, told by the first of them; `None` for plain ones."""
    return next((form for matches, form in _FORMS if matches(row)), None)


def is_pair(row: Any) -> bool:
    """Whether a row is a text and its annotations, as spaCy's examples are."""
    return isinstance(row, list) and len(row) == 2 and isinstance(row[0], str) and isinstance(row[1], dict)


def _of_pair(row: Any) -> Any:
    return {"text": row[0], **row[1]} if is_pair(row) else row


def is_label_studio(row: Any) -> bool:
    """Whether a row is a task of Label Studio, with all that it knows of it."""
    return (
        isinstance(row, dict)
        and isinstance(row.get("data"), dict)
        and any(isinstance(row.get(key), list) for key in ("annotations", "completions"))
    )


def label_studio(tasks: list[Any], source: str) -> list[Any]:
    """The rows of Label Studio's tasks: their data, and a column for each control that was used.

    Args:
        tasks: The tasks.
        source: Where they come from, for messages.

    Raises:
        EncT5Error: If a task has annotations that differ.
    """
    answers = [_answers(task, f"{source}, item {place}") for place, task in enumerate(tasks, 1)]
    controls = dict.fromkeys(name for answer in answers if answer for name in answer)
    single = {name for name in controls if all(_is_one_choice(answer, name) for answer in answers)}
    rows = []
    for task, answer in zip(tasks, answers, strict=True):
        row = dict(task["data"]) if is_label_studio(task) else task
        if answer is not None:
            values = {name: answer.get(name, ("", []))[1] for name in controls}
            row |= {name: value[0] if name in single else value for name, value in values.items()}
        if None in answers and isinstance(row, dict):
            row |= dict.fromkeys(controls) if answer is None else {}
            row[ANSWER] = IGNORED if answer is None else ACCEPTED
        rows.append(row)
    return rows


def _is_one_choice(answer: dict[str, tuple[str, Any]] | None, name: str) -> bool:
    kind, value = ("", []) if answer is None else answer.get(name, ("", []))
    return answer is None or (kind == "choices" and len(value) == 1)


def _answers(task: Any, where: str) -> dict[str, tuple[str, Any]] | None:
    """What was answered by each control, and its kind; `None` where nobody has."""
    if not is_label_studio(task):
        return None
    given = [one for one in task.get("annotations") or task.get("completions") or [] if not one.get("was_cancelled")]
    given = [one for one in given if one.get("ground_truth")] or given
    found = [_answer(one) for one in given]
    if any(one != found[0] for one in found):
        raise EncT5Error(
            f"{where} has {len(found)} annotations that differ; mark one as the ground truth, or export one a task"
        )
    return found[0] if found else None


def _answer(annotation: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    found: dict[str, tuple[str, Any]] = {}
    for result in annotation.get("result", []):
        kind, value = result.get("type"), result.get("value")
        if kind not in _VALUES or not isinstance(value, dict):
            continue
        if kind in ("choices", "rating", "number"):
            found[result["from_name"]] = (kind, value.get(kind))
        else:
            offsets = value.get("globalOffsets", {})
            span = {"start": offsets.get("start", value.get("start")), "end": offsets.get("end", value.get("end"))}
            span |= {"label": value.get(kind), **({"text": value["text"]} if "text" in value else {})}
            found.setdefault(result["from_name"], (kind, []))[1].append(span)
    return found


def _is_argilla(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("fields"), dict) and isinstance(row.get("responses"), dict)


def _of_argilla(row: Any) -> Any:
    if not _is_argilla(row):
        return row
    flat, answered = dict(row["fields"]), False
    for question, responses in row["responses"].items():
        given = [one for one in responses or [] if one.get("status", "submitted") == "submitted"]
        flat[question] = _one_of([one.get("value") for one in given], question, row.get("id"))
        answered = answered or bool(given)
    return {**flat, ANSWER: ACCEPTED if answered else IGNORED}


def _is_argilla_table(row: Any) -> bool:
    return isinstance(row, dict) and any(f"{name}.status" in row for name in row if name.endswith(".responses"))


def _of_argilla_table(row: Any) -> Any:
    if not isinstance(row, dict):
        return row
    flat, answered = dict(row), False
    for name in [name for name in row if name.endswith(".responses")]:
        states = row.get(f"{name}.status") or []
        given = [value for value, state in zip(row[name] or [], states, strict=False) if state == "submitted"]
        flat[name.removesuffix(".responses")] = _one_of(given, name, row.get("id"))
        answered = answered or bool(given)
    return {**flat, ANSWER: ACCEPTED if answered else IGNORED}


def _one_of(values: list[Any], question: str, row: object) -> Any:
    if any(value != values[0] for value in values):
        raise EncT5Error(
            f"question {show(question)}, record {show(row)}: {len(values)} responses that differ; keep one of them"
        )
    return values[0] if values else None


def _is_old_argilla(row: Any) -> bool:
    return isinstance(row, dict) and {"annotation", "prediction"} <= row.keys()


def _of_old_argilla(row: Any) -> Any:
    if not _is_old_argilla(row):
        return row
    is_answered = row["annotation"] is not None and row.get("status") != "Discarded"
    return {**row, ANSWER: ACCEPTED if is_answered else IGNORED}


_FORMS: tuple[tuple[Callable[[Any], bool], Form], ...] = (
    (is_pair, Form("spaCy (texts with their annotations)", _of_pair)),
    (_is_argilla, Form("Argilla", _of_argilla)),
    (_is_argilla_table, Form("Argilla", _of_argilla_table)),
    (_is_old_argilla, Form("Argilla", _of_old_argilla)),
)
