"""Check a table's columns, find its task and labels, split and tokenise it."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from enct5.errors import EncT5Error, show, unknown
from enct5.inputs import WholeTexts, Windows
from enct5.labels import guess_problem_type
from enct5.reading import read_chunks, read_table
from enct5.tasks import Task, find_task

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "as_dataset",
    "can_stratify",
    "check_columns",
    "class_counts",
    "infer_task",
    "label_names",
    "label_values",
    "read_chunks",
    "read_table",
    "read_texts",
    "split_held_out",
    "tokenize",
]

_MOST_CLASSES = 1000
_TOKENIZE_ROWS = 1000


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
            raise unknown("column", name, table.column_names, source)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise EncT5Error(f"column {show(twice)} of {source} is named twice; each text and the label needs its own")
    for name in text:
        _check_texts(table[name][:], name, source, takes_words, first_row)
    if label is not None:
        empty = (None,) if separator is not None else (None, "")
        values = table[label][:]
        missing = [(value.strip() if isinstance(value, str) else value) in empty for value in values]
        _refuse_missing(missing, "label", label, source, first_row)


def _check_texts(values: list[Any], column: str, source: str, takes_words: bool, first_row: int) -> None:
    _refuse_missing([value is None for value in values], "text", column, source, first_row)
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
            raise EncT5Error(
                f"column {show(column)} of {source}, row {row}: {show(value)} is not a text but of type "
                f"{type(value).__name__}; name a column of texts, or quote the values"
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


def infer_task(table: "Dataset", label: str, task: str = "auto", separator: str | None = None) -> Task:
    """Tell the task from the label column, or hold a named task against it.

    Args:
        table: The table, its columns checked.
        label: The label column.
        task: "auto", or a task's short or full name.
        separator: What separates the labels in one text; giving it means multi-label.

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
    found = find_task(guess_problem_type(values, separator))
    classes = len(set(found.strata(found.parse(values, label, separator))))
    if classes > _MOST_CLASSES and classes > len(values) / 2:
        raise EncT5Error(
            f"column {show(label)} has {classes} different values in {len(values)} rows, which look like no classes; "
            f"pass --task regression if they are numbers to predict, or --task {found.alias} if they are labels"
        )
    return found


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


def label_names(values: Sequence[Any], task: Task) -> list[str]:
    """List the names of a model's outputs in the order of their ids.

    Args:
        values: Label values, as from `label_values`.
        task: The task.

    Returns:
        The classes or labels, sorted (by value when all are whole numbers); `value` or `value_1`, ... for regression.

    Raises:
        EncT5Error: If there are too few classes to learn anything.
    """
    return task.label_names(values)


def class_counts(values: Sequence[Any], task: Task) -> dict[str, int]:
    """Count the rows of each class.

    Args:
        values: Label values, as from `label_values`.
        task: The task.

    Returns:
        The number of rows of each name, in id order; empty for regression; entities of each label for tokens.
    """
    return task.class_counts(values)


def can_stratify(strata: Sequence[str], count: int) -> bool:
    """Whether `count` held-out rows are enough for one of every group that can spare a row.

    Args:
        strata: One group name per row, as from `Task.strata`.
        count: Number of rows to hold out.
    """
    return count >= sum(size > 1 for size in Counter(strata).values())


def split_held_out(table: "Dataset", strata: Sequence[str], fraction: float, seed: int) -> tuple["Dataset", "Dataset"]:
    """Split rows off for evaluation.

    Every group keeps its share in both parts where the held-out part is large enough for that. In any case each group
    has a row in the training part, so a group of one row is there. The same seed gives the same split.

    Args:
        table: The table.
        strata: One group name per row, as from `Task.strata`.
        fraction: Share of rows to hold out, above 0 and at most 0.5.
        seed: Seed of the choice.

    Returns:
        The training part and the held-out part, rows in their old order.

    Raises:
        EncT5Error: If the fraction is out of range or the table too small.
    """
    from sklearn.model_selection import train_test_split

    if not 0 < fraction <= 0.5:
        raise EncT5Error(f"cannot hold out a fraction of {fraction}; give one above 0 and at most 0.5")
    _, firsts, groups, sizes = np.unique(np.array(strata), return_index=True, return_inverse=True, return_counts=True)
    pool = np.flatnonzero(sizes[groups] > 1)
    count = int(fraction * len(pool))
    if count == 0:
        alone = "" if len(pool) == len(table) else f", of which only {len(pool)} share their class with another row"
        raise EncT5Error(
            f"cannot hold out {fraction:.0%} of {len(table)} rows{alone}: that is less than one; give more rows, "
            "a larger --eval-fraction, or a file to evaluate on"
        )
    if can_stratify(strata, count):
        held_out = train_test_split(pool, test_size=count, random_state=seed, stratify=groups[pool])[1]
    else:
        # too few rows to hold out one of each group: choose freely, but leave one of each for training
        held_out = np.random.default_rng(seed).permutation(np.setdiff1d(pool, firsts))[:count]
    training = np.setdiff1d(np.arange(len(table)), held_out)
    return table.select(training), table.select(np.sort(held_out))


def tokenize(
    table: "Dataset",
    tokenizer: "PreTrainedTokenizerBase",
    text_columns: Sequence[str],
    max_length: int | None,
    labels: Any = None,
    inputs: type[WholeTexts] | type[Windows] = WholeTexts,
) -> tuple["Dataset", int]:
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
        The columns `input_ids`, `length` and, when given, `labels`; and the number of texts longer than `max_length`.
    """
    import pyarrow as pa
    from datasets import Dataset

    chunks, long = [], 0
    for start in range(0, len(table), _TOKENIZE_ROWS):
        chunk = slice(start, start + _TOKENIZE_ROWS)
        part = inputs(read_texts(table.select(range(len(table))[chunk]), text_columns), tokenizer, max_length)
        chunks.append(_arrow(part, None if labels is None else labels[chunk]))
        long += part.long
    return Dataset(pa.concat_tables(chunks)), long


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
