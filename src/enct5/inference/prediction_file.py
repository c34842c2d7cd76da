"""Predict for a file of texts: the input's columns and the predictions', in the same rows."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from enct5 import progress
from enct5.data import reading
from enct5.data.columns import check_columns, read_texts
from enct5.data.data_file import ReadOptions
from enct5.data.digests import digest_of_data
from enct5.data.locating import STDIN
from enct5.data.notes import line
from enct5.data.shaping import with_texts
from enct5.errors import EncT5Error, InterruptedByUserError, show
from enct5.files.writing import check_file
from enct5.inference import prediction_columns, shards
from enct5.inference.described import Described, text_columns
from enct5.inference.output_formats import WRITERS, typed, write_csv
from enct5.inference.output_parts import Parts
from enct5.inference.shards import Shard, ShardParts
from enct5.tokenization.unread import Unread, notes
from enct5.version import __version__

if TYPE_CHECKING:
    import pandas as pd
    from datasets import Dataset

    from enct5.inference.predictor import Predictor

CHUNK_ROWS = 16384  # held in memory at a time


def check_output(out: Path | None, source: str = STDIN, shard: Shard | None = None) -> None:
    """Refuse an output that could not be written, before any work is done.

    Args:
        out: file to write; `None` is standard output.
        source: what is read.
        shard: which of its shards is written.

    Raises:
        EncT5Error: for an unknown file type, a folder that does not exist, or the input itself.
    """
    if out is None:
        return
    if shard is not None:
        shards.check_output(out, source)
        return
    if out.suffix.lower() not in WRITERS:
        raise EncT5Error(f"cannot write {out}: its name must end in one of {', '.join(WRITERS)}")
    if out.exists() and Path(source).exists() and out.samefile(source):
        raise EncT5Error(f"{out} is the input itself; choose another output")
    check_file(out)


class Asked(NamedTuple):
    """What is to be written of each row.

    Attributes:
        abstain_below: Leave the label empty where its score is lower (single-label only).
        top_k: Also write the scores of so many of the likeliest labels, or of all (None).
        run: What else decides the predictions, such as the model; a call that resumes another has to have the same.
    """

    abstain_below: float | None = None
    top_k: int | None = 1
    run: Mapping[str, Any] = MappingProxyType({})


class Rows(NamedTuple):
    """The rows to predict for.

    Attributes:
        chunks: Tables of their rows, from the one with a number on; the rows of a table are those of the source between
            multiples of `CHUNK_ROWS`.
        text: The text columns.
        names: All columns.
        total: Number of rows; None for not known.
        first: The place of the first row in the source.
        shard: Which of the source's shards they are, if they are not all of its rows.
    """

    chunks: Callable[[int], Iterator["Dataset"]]
    text: Sequence[str]
    names: list[str]
    total: int | None
    first: int = 0
    shard: Shard | None = None

    def before(self, part: int) -> int:
        """How many rows there are before a part."""
        return max(0, (self.first // CHUNK_ROWS + part) * CHUNK_ROWS - self.first)


def _lines_of_stdin(first: int) -> Iterator["Dataset"]:
    from datasets import Dataset

    lines = (line.rstrip("\r\n") for line in sys.stdin)
    mark = "\ufeff"  # of its encoding, with which some programs begin
    try:
        while part := list(islice(lines, CHUNK_ROWS)):
            part[0], mark = part[0].removeprefix(mark), ""
            yield Dataset.from_dict({"text": part})
    except (
        UnicodeDecodeError,
        UnicodeEncodeError,
    ) as error:  # where Python lets bytes through that are not, the table does not take them
        raise EncT5Error(f"standard input is not UTF-8 ({error.reason}); convert it first") from error


def read_rows(
    model: "Predictor | Described",
    source: str,
    text: Sequence[str] | None,
    options: ReadOptions | None = None,
    shard: Shard | None = None,
) -> Rows:
    """Read a table once, so that its faults are told before any work is done.

    Args:
        model: the model, or what its folder says of it.
        source: file, hub dataset, or `-` for standard input: lines, or a table where a text column is named.
        text: text column, or two for pairs; by default those of the training.
        options: what the user says of text files.
        shard: which rows to predict for; by default all.

    Raises:
        EncT5Error: for a table that cannot be read, or lacks the columns, in this shard or another.
    """
    if is_lines(source, text):
        if model.config is not None:
            model.config.check_pairs(False)  # a line is a text
        return Rows(_lines_of_stdin, ("text",), ["text"], None)
    columns = text_columns(model, text)
    names: dict[str, None] = {}
    count = 0
    read = reading.open_table(source, options)

    for chunk in _shaped(read(CHUNK_ROWS), columns, source):
        takes_words = model.task.inputs.takes_words
        check_columns(chunk, source, columns, None, takes_words=takes_words, first_row=count + 1)
        names |= dict.fromkeys(chunk.column_names)
        count += len(chunk)
    own = range(count) if shard is None else shard.rows(count)
    return Rows(
        lambda part: _shaped(_within(own, read(CHUNK_ROWS), part), columns, source),
        columns,
        list(names),
        len(own),
        own.start,
        shard,
    )


def _shaped(chunks: Iterator["Dataset"], columns: Sequence[str], source: str) -> Iterator["Dataset"]:
    return (with_texts(chunk, columns, source) for chunk in chunks)


def _within(rows: range, chunks: Iterator["Dataset"], part: int) -> Iterator["Dataset"]:
    """Of chunks of a table what lies within a range of its rows, from its part of a number on."""
    number = rows.start // CHUNK_ROWS + part
    for chunk in islice(chunks, number, None):
        first = number * CHUNK_ROWS
        if first >= rows.stop:
            return
        own = range(max(rows.start - first, 0), min(rows.stop - first, len(chunk)))
        if own:
            yield chunk if len(own) == len(chunk) else chunk.select(own)
        number += 1


def is_lines(source: str, text: Sequence[str] | None) -> bool:
    """Whether the texts are lines of standard input, which come as they come and are not gathered."""
    return source == STDIN and text is None


def _frames(predictor: "Predictor", rows: Rows, asked: Asked, part: int, nested: bool) -> Iterator["pd.DataFrame"]:
    """Chunk by chunk, the columns of the input and of the predictions."""
    import pandas as pd

    abstain_below, top_k = asked.abstain_below, asked.top_k
    id2label = {} if top_k == 1 else predictor.model.config.id2label
    labels = [id2label[index] for index in range(len(id2label))]
    new = prediction_columns.names(predictor.task, labels, top_k, nested, rows.names)
    count = 0
    for chunk in rows.chunks(part):
        count += len(chunk)
        texts = read_texts(chunk, rows.text)
        found = prediction_columns.values(predictor, texts, labels, abstain_below, top_k, nested)
        columns = {name: chunk[name][:] if name in chunk.column_names else [None] * len(chunk) for name in rows.names}
        columns |= dict(zip(new.values(), map(list, zip(*found, strict=True)), strict=True))
        frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
        yield typed(frame, chunk)
    if not count and not part:
        yield pd.DataFrame(columns=[*rows.names, *new.values()], dtype=object)


def predict_table(
    predictor: "Predictor",
    source: str,
    text: Sequence[str] | None,
    out: Path | None,
    asked: Asked | None = None,
    resume: bool = False,
    rows: Rows | None = None,
) -> None:
    """Predict for every row of a table and write all columns, in memory that does not grow with the table.

    A prediction column whose name the input has already is written as `predicted_<name>`. Until all rows are done,
    what is done lies in the folder `<out>.partial`, from which an interrupted call can be resumed.

    Args:
        predictor: the model.
        source: file, hub dataset, or `-` for lines of standard input.
        text: text column, or two for pairs; by default those of the training.
        out: file to write, whole or not at all; of a shard what `Shard.output` makes of it; `None` writes CSV to
            standard output.
        asked: what is to be written of each row; by default the prediction alone.
        resume: go on with an interrupted call for the same output; of a shard, if there is one.
        rows: those of the source, where they have been looked at already (`read_rows`).

    Raises:
        EncT5Error: for a table without such columns, an output that cannot be written, or nothing to resume.
    """
    if resume and (out is None or source == STDIN):
        raise EncT5Error("only predictions of a file's rows to another file can be resumed; name both")
    rows, asked = rows or read_rows(predictor, source, text), asked or Asked()
    before, predictor.warns_of_unknown = predictor.unread, False  # it is told at the end
    if out is None:
        # On a terminal the rows themselves show how far it is.
        with nullcontext() if sys.stdout.isatty() else progress.bar("predicting", rows.total):
            for number, frame in enumerate(_frames(predictor, rows, asked, 0, False)):
                write_csv(frame, sys.stdout, number == 0)
                sys.stdout.flush()
        _tell(predictor, predictor.unread - before)
        return
    decided = _decided_by(source, rows, asked)
    if rows.shard is None:
        parts = Parts(out, decided, resume)
    else:
        out = rows.shard.output(out)
        if resume and shards.is_done(out, decided):
            print(f"{out} is there already", file=sys.stderr)
            return
        parts = ShardParts(out, rows.shard, decided, resume)
    with parts:
        count = _write(predictor, source, rows, asked, parts)
    print(f"{count} prediction{'' if count == 1 else 's'} written to {out}", file=sys.stderr)
    _tell(predictor, predictor.unread - before)


def _write(predictor: "Predictor", source: str, rows: Rows, asked: Asked, parts: Parts) -> int:
    """Write the parts that are not there, and the output of all; return the number of its rows."""
    import pyarrow as pa

    out = parts.out
    kind = WRITERS[out.suffix.lower()]
    try:
        written = rows.before(parts.count)
        with progress.bar("predicting", rows.total, written):
            for frame in _frames(predictor, rows, asked, parts.count, kind.nested):
                with parts.next() as file:
                    kind.write(frame, file, parts.count == 0)
                written += len(frame)
        parts.join(kind.join)
    except (OSError, KeyboardInterrupt) as error:
        if source == STDIN:
            parts.remove()
        again = "" if source == STDIN else "; the same command with --resume goes on with what is done"
        if isinstance(error, OSError):
            raise EncT5Error(f"cannot write {out}: {error.strerror or error}{again}") from error
        raise InterruptedByUserError(f"interrupted{again}") from error
    except (pa.ArrowException, OverflowError) as error:  # a column of different types, say, which JSON may hold
        parts.remove()
        raise EncT5Error(f"cannot write {out} as Parquet: {show(error, 200)}; write .jsonl instead") from error
    except BaseException:
        parts.remove()
        raise
    return written if rows.total is None else rows.total


def _tell(predictor: "Predictor", read: Unread) -> None:
    """Say what of the texts the model did not read."""
    for note in notes(read, f"{read.texts:,} texts", max_length=predictor.tokenizer.model_max_length):
        print(line(note), file=sys.stderr)


def _decided_by(source: str, rows: Rows, asked: Asked) -> dict[str, Any]:
    """What has to be the same in a call that resumes another."""
    return {
        "version of enct5": __version__,
        **asked.run,
        "data": source,
        "content of the data": None if source == STDIN else digest_of_data(source),
        "text": list(rows.text),
        "abstain_below": asked.abstain_below,
        "top_k": asked.top_k,
        "rows of a part": CHUNK_ROWS,
    }
