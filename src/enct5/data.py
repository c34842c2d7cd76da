"""Check a table's columns, find its task and labels, split and tokenise it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from enct5.data_notes import blank_texts, in_rows, is_blank, numbers_as_texts, repeated_texts
from enct5.errors import EncT5Error, show, unknown
from enct5.guessing import guess
from enct5.inputs import WholeTexts, Windows
from enct5.labels import is_missing
from enct5.mistaken_formats import by_names
from enct5.normal_form import normal_form
from enct5.reading import read_chunks, read_table
from enct5.tasks import Task, find_task
from enct5.unread import Unread

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "as_dataset",
    "check_columns",
    "infer_task",
    "label_values",
    "read_chunks",
    "read_labelled",
    "read_table",
    "read_texts",
    "rejected",
    "split_rows",
    "text_keys",
    "tokenize",
]

_TOKENIZE_ROWS = 1000
_ANSWER, _REJECTED = "answer", ("reject", "ignore")  # a column of Prodigy, and its values


def check_columns(
    table: "Dataset",
    source: str,
    text: Sequence[str],
    label: str | None,
    separator: str | None = None,
    takes_words: bool = False,
    first_row: int = 1,
) -> None:
    """Refuse wrong column names, texts that are no texts, and missing values.

    Args:
        table: The table.
        source: Where it came from, for messages.
        text: One text column, or two for pairs.
        label: The label column, or None when there is none to check.
        separator: What separates labels in one text; when given, an empty label means a text without labels.
        takes_words: Whether a text may be a list of words.
        first_row: The number of the table's first row, where it is a part of a larger one.

    Raises:
        EncT5Error: If anything is wrong with the columns.
    """
    if len(text) not in (1, 2):
        raise EncT5Error(f"{len(text)} text columns given ({', '.join(text) or 'none'}); name one, or two for a pair")
    names = [*text, *([label] if label is not None else [])]
    for name in names:
        if name not in table.column_names:
            raise _no_column(name, table, source)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise EncT5Error(f"column {show(twice)} of {source} is named twice; each text and the label needs its own")
    for name in text:
        _check_texts(table[name][:], name, source, takes_words, first_row)
    if label is not None:
        # with a separator a blank text is a row without labels
        missing = [
            is_missing(value) and not (separator is not None and isinstance(value, str)) for value in table[label][:]
        ]
        _refuse_missing(missing, "label", label, source, first_row)


def _no_column(name: str, table: "Dataset", source: str) -> EncT5Error:
    names = table.column_names
    several = [part.strip() for part in name.split(",")]
    if len(several) > 1 and set(several) <= set(names):
        return EncT5Error(
            f"--label names one column, not {len(several)} ({', '.join(map(show, several))}); write the names of each "
            "text's labels into one column, with --label-separator for several"
        )
    said = by_names(names)
    if len(table) == 1 and any(isinstance(value, list | dict) for value in table[0].values()):
        said = "it holds one object; a table is one list of objects, a row each, or one object a line"
    error = unknown("column", name, names, source)
    return error if said is None else EncT5Error(f"{error}; {said}")


def _check_texts(values: list[Any], column: str, source: str, takes_words: bool, first_row: int) -> None:
    # not `is_missing`: a blank text is one, and a table that holds numbers marks an absent one by NaN
    _refuse_missing([value is None or value != value for value in values], "text", column, source, first_row)
    for row, value in enumerate(values, first_row):
        if isinstance(value, list):
            if not takes_words:
                raise _a_list(value, f"column {show(column)} of {source}, row {row}")
            if wrong := [word for word in value if not isinstance(word, str)]:
                raise EncT5Error(
                    f"column {show(column)} of {source}, row {row}: {show(wrong[0])} is not a word but of type "
                    f"{type(wrong[0]).__name__}; name a column of lists of words"
                )
        elif not isinstance(value, str):
            remedy = "quote the values"
            if isinstance(value, dict):
                remedy = 'give a list of objects, a row each (orient="records" in pandas)'
            raise EncT5Error(
                f"column {show(column)} of {source}, row {row}: {show(value)} is not a text but of type "
                f"{type(value).__name__}; name a column of texts, or {remedy}"
            )
        if type(value) is not type(values[0]):
            raise EncT5Error(
                f"column {show(column)} of {source}, row {row}: texts and lists of words are mixed; give one kind"
            )


def _a_list(value: list[Any], where: str) -> EncT5Error:
    return EncT5Error(
        f"{where}: {show(value)} is a list, not a text; lists of words are for tagging tokens (--task tokens), with "
        "tags or entities as labels: name a column of texts"
    )


def _refuse_missing(missing: list[bool], kind: str, column: str, source: str, first_row: int) -> None:
    if any(missing):
        of = f"{len(missing)} rows" if first_row == 1 else f"rows {first_row} to {first_row + len(missing) - 1}"
        raise EncT5Error(
            f"column {show(column)} of {source} lacks the {kind} in {sum(missing)} of {of} "
            f"(first: row {missing.index(True) + first_row}); fill it in or remove the rows"
        )


def infer_task(
    table: "Dataset",
    label: str,
    task: str = "auto",
    separator: str | None = None,
    note: Callable[[str], None] = lambda reason: None,
) -> Task:
    """Tell the task from the label column, or hold a named task against it.

    Args:
        table: The table, its columns checked.
        label: The label column.
        task: "auto", or a task's short or full name.
        separator: What separates the labels in one text; giving it means multi-label.
        note: Called with the reason of a choice that may surprise.

    Returns:
        The task.

    Raises:
        EncT5Error: If the labels do not fit the named task, or look like something else than classes.
    """
    values = table[label][:]
    if task != "auto":
        forced = find_task(task)
        forced.parse(values, label, separator)
        return forced
    problem_type, reason = guess(values, label, separator)
    if reason is not None:
        note(reason)
    found = find_task(problem_type)
    found.parse(values, label, separator)
    return found


def read_labelled(
    table: "Dataset", source: str, text: Sequence[str], label: str, task: Task, separator: str | None
) -> tuple["Dataset", list[Any], list[str]]:
    """Read the label values of a table, leave out what its annotator rejected, and note what is odd about the rest.

    Args:
        table: The table, its columns checked.
        source: Where it came from.
        text: The text columns.
        label: The label column.
        task: The task.
        separator: What separates the labels in one text.

    Returns:
        The rows that count, their label values, and notes.

    Raises:
        EncT5Error: If a value does not fit the task or its text, or no row is left.
    """
    values, notes = label_values(table, label, task, separator, text), []
    if left_out := rejected(table, [*text, label]):
        kept = np.setdiff1d(np.arange(len(table)), left_out)
        if not len(kept):
            raise EncT5Error(f"{source} has no row whose `{_ANSWER}` is accept; give a table with some")
        table, values = table.select(kept), [values[row] for row in kept]
        notes.append(
            f"{in_rows(left_out)} whose `{_ANSWER}` is reject or ignore are left out; further notes number the rest"
        )
    texts = read_texts(table, text)
    notes += blank_texts(texts, source) + numbers_as_texts(texts)
    notes += task.notes(table[label][:], values, texts)
    keys = [None if is_blank(text) else key for text, key in zip(texts, text_keys(texts), strict=True)]
    notes += repeated_texts(keys, values)
    return table, values, notes


def read_texts(table: "Dataset", columns: Sequence[str]) -> list[Any]:
    """Texts, or pairs of texts, of a table's columns."""
    return table[columns[0]][:] if len(columns) == 1 else list(zip(*(table[name][:] for name in columns), strict=True))


def label_values(
    table: "Dataset", label: str, task: Task, separator: str | None = None, text: Sequence[str] = ()
) -> list[Any]:
    """Read the label column as the task's label values.

    Args:
        table: The table, its columns checked.
        label: The label column.
        task: The task.
        separator: What separates the labels in one text.
        text: The text columns, where labels are to be held against the texts.

    Returns:
        One name, list of names, number, list of numbers or `Entities` per row, which `Task.encode` takes.

    Raises:
        EncT5Error: If a value does not fit the task or its text; the message names its row.
    """
    values = task.parse(table[label][:], label, separator)
    if not text:
        return values
    texts = read_texts(table, text)
    words = next((row for row, value in enumerate(texts) if isinstance(value, list)), None)
    if words is not None and not task.inputs.takes_words:
        raise _a_list(texts[words], f"column {show(text[0])}, row {words + 1}")
    return task.align(values, texts, label)


def rejected(table: "Dataset", named: Sequence[str]) -> list[int]:
    """The places of the rows that an annotator has rejected or passed over, as Prodigy marks them.

    Args:
        table: The table.
        named: The columns that are texts or labels, which mark nothing.
    """
    if _ANSWER in named or _ANSWER not in table.column_names:
        return []
    answers = table[_ANSWER][:]
    if not {"accept"} <= set(answers) <= {"accept", *_REJECTED}:
        return []
    return [row for row, answer in enumerate(answers) if answer in _REJECTED]


def text_keys(texts: Sequence[Any]) -> list[int]:
    """A number for each text, the same for texts that differ in case, blanks or Unicode form only.

    Args:
        texts: Texts, pairs of texts or lists of words, as from `read_texts`.
    """
    return [hash(_plain(text)) for text in texts]


def _plain(text: Any) -> object:
    if isinstance(text, tuple):
        return tuple(map(normal_form, text))
    return normal_form(text if isinstance(text, str) else " ".join(text))


def split_rows(texts: Sequence[Any], strata: Sequence[str], fraction: float, seed: int) -> tuple[Any, Any]:
    """Choose rows to hold out for evaluation.

    Rows of one text (as `text_keys` has it) go to the same part, and the share is that of the texts; a text of more
    rows than are to be held out is for training. Every group keeps its share in both parts where the held-out part is
    large enough for that. In any case each group has a row in the training part, so a group of one row is there. The
    same seed gives the same choice.

    Args:
        texts: The texts, as from `read_texts`.
        strata: One group name per row, as from `Task.strata`.
        fraction: Share to hold out, above 0 and at most 0.5.
        seed: Seed of the choice.

    Returns:
        The places of the rows for training and of those held out, int64 and ascending.

    Raises:
        EncT5Error: If the fraction is out of range or the table too small.
    """
    if not 0 < fraction <= 0.5:
        raise EncT5Error(f"cannot hold out a fraction of {fraction}; give one above 0 and at most 0.5")
    groups = np.unique(np.array(strata), return_inverse=True)[1]
    numbers: dict[int, int] = {}
    text_of = np.array([numbers.setdefault(key, len(numbers)) for key in text_keys(texts)])
    _, firsts, copies = np.unique(text_of, return_index=True, return_counts=True)
    pool = np.flatnonzero(copies <= max(1, fraction * len(texts)))
    chosen = _held_out_texts(groups[firsts[pool]], fraction, seed)
    if not len(chosen):
        few = f"{len(texts)} row{'' if len(texts) == 1 else 's'}"
        if len(copies) < len(texts):
            few += f" of {len(copies)} different text{'' if len(copies) == 1 else 's'}"
        elif len(texts) > 1 and (alone := np.sum(np.bincount(groups)[groups] == 1)):
            few += f", of which only {len(texts) - alone} share their class with another"
        raise EncT5Error(
            f"cannot hold out {fraction:.0%} of {few}: that is less than one; give more rows, a larger "
            "--eval-fraction, or a file to evaluate on"
        )
    is_held_out = np.isin(text_of, pool[chosen])
    for group in np.setdiff1d(groups, groups[~is_held_out]):  # a text whose rows differ stands for one group of several
        is_held_out[text_of == text_of[np.argmax(groups == group)]] = False
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


def _held_out_texts(groups: Any, fraction: float, seed: int) -> Any:
    """The places of those held out of texts with such groups."""
    from sklearn.model_selection import train_test_split

    _, firsts, groups, sizes = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    pool = np.flatnonzero(sizes[groups] > 1)
    count = int(fraction * len(pool))
    if count and count >= np.sum(sizes > 1):
        return train_test_split(pool, test_size=count, random_state=seed, stratify=groups[pool])[1]
    # too few texts to hold out one of each group: choose freely, but leave one of each for training
    return np.random.default_rng(seed).permutation(np.setdiff1d(pool, firsts))[:count]


def tokenize(
    table: "Dataset",
    tokenizer: "PreTrainedTokenizerBase",
    text_columns: Sequence[str],
    max_length: int | None,
    labels: Any = None,
    inputs: type[WholeTexts] | type[Windows] = WholeTexts,
) -> tuple["Dataset", Unread]:
    """Turn texts into token ids, unpadded.

    Padding is left to whoever makes batches.

    Args:
        table: The table, its columns checked.
        tokenizer: The model's tokenizer.
        text_columns: One text column, or two for pairs.
        max_length: Most tokens of a row, the end token included; None for no limit.
        labels: Labels as from `Task.encode`, one row per text, or None.
        inputs: What rows the texts become, as `Task.inputs`.

    Returns:
        The columns `input_ids`, `length` and, when given, `labels`; and what of the texts they lack.
    """
    import pyarrow as pa
    from datasets import Dataset

    chunks, unread = [], Unread()
    for start in range(0, len(table), _TOKENIZE_ROWS):
        chunk = slice(start, start + _TOKENIZE_ROWS)
        part = inputs(read_texts(table.select(range(len(table))[chunk]), text_columns), tokenizer, max_length)
        chunks.append(_arrow(part, None if labels is None else labels[chunk]))
        unread += part.unread
    return Dataset(pa.concat_tables(chunks)), unread


def as_dataset(inputs: WholeTexts | Windows, labels: Any = None) -> "Dataset":
    """The rows of texts as `tokenize` gives them."""
    from datasets import Dataset

    return Dataset(_arrow(inputs, labels))


def _arrow(inputs: WholeTexts | Windows, labels: Any) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.compute

    # 32-bit arrow values take a tenth of the memory of lists of Python numbers
    ids = pa.array(inputs.rows, type=pa.list_(pa.int32()))
    columns = {"input_ids": ids, "length": pa.compute.list_value_length(ids)}
    if labels is not None:
        targets = inputs.targets(labels)
        if isinstance(targets, list):
            columns["labels"] = pa.array(targets, type=pa.list_(pa.int64()))
        else:
            # not through Python lists: thousands of labels a row would take ten times the memory
            values = pa.array(targets.ravel())
            columns["labels"] = (
                values if targets.ndim == 1 else pa.FixedSizeListArray.from_arrays(values, targets.shape[1])
            )
    return pa.table(columns)
