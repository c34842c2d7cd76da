"""Text files without column names: fastText's, CoNLL's, or lines that are a text each; others are separated values."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from enct5.data import delimited, delimiters
from enct5.data.data_file import DataFile
from enct5.data.tables import ROWS, Batches, text_batch
from enct5.errors import EncT5Error, show

if TYPE_CHECKING:
    import pyarrow as pa

TEXT, LABEL = "text", "label"  # the columns, whose names such files do not give
_LABEL = re.compile(r"(?:^|(?<=\s))__label__(\S+)\s*")
_TAG = re.compile(r"O|[BIESLU][-_].+")
_START = "-DOCSTART-"


def read_text(file: DataFile) -> Batches:
    """The batches of a .txt file, whose form its lines tell."""
    if file.options.delimiter is None:
        if _every_line(file, _LABEL.search):
            return read_fasttext(file)
        if _is_conll(file):
            return read_conll(file)
        if not _is_table(file):
            return read_lines(file)
    return delimited.read_csv(file)


def read_lines(file: DataFile) -> Batches:
    """A text a line, in column `text`."""
    file.refuse_part("a file of text")
    file.said.append(f"as lines, each a text of column {show(TEXT)}")
    return lambda rows: _batches(([line] for line in _lines(file)), [TEXT])


def read_fasttext(file: DataFile) -> Batches:
    """Columns `text` and `label`, which is a list where a line has another number of labels than one."""
    file.refuse_options("of fastText's form", "delimiter")
    file.refuse_part("a file of text")
    single = all(len(_LABEL.findall(line)) == 1 for line in _lines(file) if line.strip())
    file.said.append(f"as fastText's lines (columns {show(TEXT)} and {show(LABEL)})")

    def rows() -> Iterator[list[Any]]:
        for line in _lines(file):
            if line.strip():
                labels = _LABEL.findall(line)
                yield [_LABEL.sub("", line).strip(), labels[0] if single else labels]

    return lambda _: _batches(rows(), [TEXT, LABEL])


def read_conll(file: DataFile) -> Batches:
    """Columns `text`, of lists of words, and `label`, of their tags: the first and last of a line.

    Raises:
        EncT5Error: When it is reached, for a line of another number of columns than the first.
    """
    file.refuse_options("of CoNLL's form", "delimiter")
    file.refuse_part("a file of text")
    first = next((line for line in _fields(file) if line[1]), None)
    if first is None or len(first[1]) < 2:
        raise EncT5Error(
            f"{file.source} has no lines of a word and its tag; give such lines, and an empty one between texts"
        )
    of = f" (the last of {len(first[1])} columns)" if len(first[1]) > 2 else ""
    file.said.append(f"as CoNLL's lines: words in column {show(TEXT)}, their tags{of} in {show(LABEL)}")
    return lambda rows: _batches(_sentences(file, len(first[1])), [TEXT, LABEL])


def _batches(rows: Iterator[Sequence[Any]], names: Sequence[str]) -> Iterator["pa.RecordBatch"]:
    while part := list(islice(rows, ROWS)):
        yield text_batch(part, names)


def _lines(file: DataFile) -> Iterator[str]:
    with file.open_text() as text:
        yield from (line.rstrip("\r\n") for line in text)


def _every_line(file: DataFile, matches: Callable[[str], object]) -> bool:
    filled = [line for line in islice(_lines(file), ROWS) if line.strip()]
    return bool(filled) and all(map(matches, filled))


def _is_comment(line: str) -> bool:
    return (line.startswith(("# ", "#\t")) and "=" in line) or line.startswith(_START)


def _fields(file: DataFile) -> Iterator[tuple[int, list[str]]]:
    """The lines that are no comments: their number and fields, none where a text ends."""
    by_tabs = any("\t" in line for line in islice(_lines(file), ROWS) if not _is_comment(line))
    for number, line in enumerate(_lines(file), 1):
        if not line.strip():
            yield number, []
        elif not _is_comment(line):
            yield number, line.split("\t") if by_tabs else re.split(" +", line.strip(" "))


def _is_conll(file: DataFile) -> bool:
    """Whether lines have as many fields of which the last is a tag, `O` among them, and empty ones between them."""
    lines = list(islice(_fields(file), ROWS))
    words = [fields for _, fields in lines if fields]
    tags = {fields[-1].strip() for fields in words}
    return (
        len(words) < len(lines)
        and len({len(fields) for fields in words}) == 1
        and len(words[0]) > 1
        and "O" in tags
        and all(map(_TAG.fullmatch, tags))
    )


def _sentences(file: DataFile, width: int) -> Iterator[list[list[str]]]:
    for filled, lines in groupby(_fields(file), key=lambda line: bool(line[1])):
        if not filled:
            continue
        words, tags = [], []
        for number, fields in lines:
            if len(fields) != width:
                raise EncT5Error(
                    f"{file.source}, line {number} has {len(fields)} columns, the first has {width}; give a word, its "
                    "tag and what is between them in every line, and an empty line between texts"
                )
            words.append(fields[0].strip())
            tags.append(fields[-1].strip())
        yield [words, tags]


def _is_table(file: DataFile) -> bool:
    """Whether lines are rows of separated values, by a delimiter that all of them have as often as the first.

    A first line that is the word `text` alone is the header of one column.
    """
    first = next(_lines(file), "")
    if first.lower().startswith(("sep=", '"sep=')) or first.strip().strip('"').lower() == TEXT:
        return True  # the latter names the only column: taken for a text it would be one too many
    return any(delimiters.fits(file.open_text, one) for one in delimiters.CANDIDATES if one in first)
