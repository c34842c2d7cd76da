"""Predict for a file of texts: the input's columns and the predictions', in the same rows."""

import csv
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tqdm.auto import tqdm

from enct5 import data
from enct5.errors import EncT5Error, show
from enct5.evaluation import text_columns
from enct5.predict import Predictor

if TYPE_CHECKING:
    import pandas as pd

STDIN = "-"


def _lists_as_json(frame: "pd.DataFrame") -> "pd.DataFrame":
    """CSV has no lists: a field that holds one becomes JSON."""
    return frame.map(lambda value: json.dumps(value, ensure_ascii=False) if isinstance(value, (list, dict)) else value)


def _write_delimited(frame: "pd.DataFrame", file: Path | IO[str], separator: str) -> None:
    frame = _lists_as_json(frame)
    # Python writes a lone carriage return without quotes, and readers take it for the end of a row.
    returns = frame.map(lambda value: isinstance(value, str) and "\r" in value).any(axis=None)
    frame.to_csv(file, index=False, sep=separator, quoting=csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL)


def _write_csv(frame: "pd.DataFrame", file: Path | IO[str]) -> None:
    _write_delimited(frame, file, ",")


def _write_tsv(frame: "pd.DataFrame", file: Path | IO[str]) -> None:
    _write_delimited(frame, file, "\t")


def _write_jsonl(frame: "pd.DataFrame", file: Path) -> None:
    # Not `to_json`, which rounds floats and turns dates into numbers. Only JSON's own values stay what they are.
    with file.open("w", encoding="utf-8") as lines:
        for row in frame.to_dict("records"):
            values = {name: None if isinstance(v, float) and math.isnan(v) else v for name, v in row.items()}
            lines.write(json.dumps(values, ensure_ascii=False, default=str) + "\n")


def _write_parquet(frame: "pd.DataFrame", file: Any) -> None:
    frame.to_parquet(file, index=False)


WRITERS: dict[str, Callable[["pd.DataFrame", Any], None]] = {
    ".csv": _write_csv,
    ".tsv": _write_tsv,
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}


def check_output(out: Path | None, source: str = STDIN) -> None:
    """Refuse an output that could not be written, before any work is done.

    Args:
        out: file to write; `None` is standard output.
        source: what is read.

    Raises:
        EncT5Error: for an unknown file type, a folder that does not exist, or the input itself.
    """
    if out is None:
        return
    if out.suffix.lower() not in WRITERS:
        raise EncT5Error(f"cannot write {out}: its name must end in one of {', '.join(WRITERS)}")
    if out.exists() and Path(source).exists() and out.samefile(source):
        raise EncT5Error(f"{out} is the input itself; choose another output")
    if out.is_dir():
        raise EncT5Error(f"{out} is a folder; name a file to write")
    if not out.parent.is_dir():
        raise EncT5Error(f"the folder {out.parent} does not exist; create it, or choose another output")


def _read_lines() -> list[str]:
    try:
        return [line.rstrip("\r\n") for line in sys.stdin]
    except UnicodeDecodeError as error:
        raise EncT5Error(f"standard input is not UTF-8 ({error.reason}); convert it first") from error


def predict_table(
    predictor: Predictor, source: str, text: Sequence[str] | None, out: Path | None, abstain_below: float | None = None
) -> None:
    """Predict for every row of a table and write all columns.

    A prediction column whose name the input has already is written as `predicted_<name>`.

    Args:
        predictor: the model.
        source: file, hub dataset, or `-` for lines of standard input.
        text: text column, or two for pairs; by default those of the training.
        out: file to write, whole or not at all; `None` writes CSV to standard output.
        abstain_below: leave the label empty where its score is lower (single-label only).
    """
    import pandas as pd
    import pyarrow as pa

    if source == STDIN:
        if text is not None:
            raise EncT5Error("standard input has lines, not columns; leave out --text, or name a file")
        # One text column however the model was trained: a line is a text.
        texts: list[Any] = _read_lines()
        frame = pd.DataFrame({"text": texts}, dtype=object)
    else:
        columns = text_columns(predictor, text)
        table = data.read_table(source)
        data.check_columns(table, source, columns, None, takes_words=predictor.task.inputs.takes_words)
        texts = data.read_texts(table, columns)
        frame = pd.DataFrame({name: pd.Series(table[name][:], dtype=object) for name in table.column_names})
    stream = predictor.stream(texts, abstain_below)
    results = list(tqdm(stream, total=len(texts), unit="text", disable=not sys.stderr.isatty()))
    for name in predictor.task.prediction_columns:
        column = name
        while column in frame.columns:  # predictions for the output of an earlier call have `predicted_label`, too
            column = f"predicted_{column}"
        frame[column] = pd.Series([result[name] for result in results], dtype=object)
    if out is None:
        _write_csv(frame, sys.stdout)
        return
    partial = out.with_name(out.name + ".partial")
    try:
        WRITERS[out.suffix.lower()](frame, partial)
        os.replace(partial, out)
    except OSError as error:
        raise EncT5Error(f"cannot write {out}: {error.strerror or error}") from error
    except pa.ArrowException as error:  # a column of different types, say, which JSON may hold
        raise EncT5Error(f"cannot write {out} as Parquet: {show(error, 200)}; write .jsonl instead") from error
    finally:
        partial.unlink(missing_ok=True)
    print(f"{len(frame)} predictions written to {out}", file=sys.stderr)
