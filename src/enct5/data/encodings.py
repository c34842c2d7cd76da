"""The encoding of a text file: by its byte order mark, UTF-8 where it is that, else one that is certain, or the user's.

A guess from frequencies is no use here: charset-normalizer takes Polish for Windows-1252, and a line of German for a
Baltic code page of DOS. What can be certain is that a file is Windows-1252 (or its part Latin-1): its bytes give
letters of western languages only, in places where these have them. Anything else is the user's to name.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import IO, NamedTuple

from enct5.errors import EncT5Error, show

_BLOCK = 1 << 20  # bytes
_LINES = 200  # that are looked at for a message
# Those of 32 bits first, whose marks begin like those of 16.
_MARKS = {
    codecs.BOM_UTF32_LE: ("utf-32", "UTF-32"),
    codecs.BOM_UTF32_BE: ("utf-32", "UTF-32"),
    codecs.BOM_UTF16_LE: ("utf-16", "UTF-16"),
    codecs.BOM_UTF16_BE: ("utf-16", "UTF-16"),
}
_UTF8 = "utf-8-sig"  # which is without a mark as well
_WESTERN = "cp1252"
_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_LETTERS = "äöüßÄÖÜéèêëàâçîïôûùœæñáíóúãõøåÉÈÊËÀÂÇÎÏÔÛÙŒÆÑÁÍÓÚÃÕØÅìòÌÒ"
_SIGNS = "“”„‘’‚–—…€£§°«»‹›¿¡©®™´•·²³½¼¾ºª±×µ\xa0\xad"  # noqa: RUF001
_WITHIN = "’´·–—…€/\xa0\xad"  # noqa: RUF001 # signs that words may have inside
_KNOWN = re.compile(f"[\x00-\x7f{_LETTERS}{_SIGNS}]*")
# What western languages do not write, and other encodings give where their bytes are read as Windows-1252.
_ODD = re.compile(
    rf"[^\W\d_][{''.join(sign for sign in _SIGNS if sign not in _WITHIN)}][^\W\d_]"
    r"|£[^\W\d_]|[²³¼½¾][^\W\d_]|[^\W\d_m][²³]|[^\W\d_][¼½¾]|[^\W\d_nNºª]º|[^\W\d_]ª"  # Polish ł, Romanian ş
    r"|œ(?!u|i|d|s|no|cum)|õ(?!e)|ã[b-df-hj-mp-rt-z]"  # Polish ś, Hungarian ő, Romanian ă
    rf"|([{_LETTERS}])(?!\1\1)[{_LETTERS}]{{2}}"  # Cyrillic, Greek and others, all whose letters are such bytes
)
_PROPOSED = ("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "shift_jis", "gb18030")


class Encoding(NamedTuple):
    """How a file's bytes become characters.

    Attributes:
        codec: Python's name.
        said: What a user is told where it is not UTF-8.
    """

    codec: str
    said: str | None = None


def named(encoding: str) -> Encoding:
    """An encoding that a user has named.

    Raises:
        EncT5Error: If there is none of that name.
    """
    try:
        codec = codecs.lookup(encoding).name
        "".encode(codec)  # refuses what turns bytes into bytes, as `hex`
    except (LookupError, ValueError, TypeError):
        raise EncT5Error(f"no encoding {show(encoding)} (--encoding); such are utf-8, utf-16, cp1252, cp1250") from None
    return Encoding(_UTF8 if codec == "utf-8" else codec)


def detect(opened: Callable[[], IO[bytes]], source: str) -> Encoding:
    """Tell a file's encoding, by all of its bytes.

    Args:
        opened: Opens it.
        source: What messages call it.

    Raises:
        EncT5Error: If it is no UTF-8, and what else is not certain.
    """
    with opened() as file:
        begin = file.read(4096)
    for mark, (codec, name) in _MARKS.items():
        if begin.startswith(mark):
            check(opened, codec, source)
            return Encoding(codec, name)
    unmarked = _without_mark(begin)
    if unmarked is not None and _first_wrong(opened, unmarked) is None:
        return Encoding(unmarked, "UTF-16")
    wrong = _first_wrong(opened, _UTF8)
    if wrong is None:
        return Encoding(_UTF8)
    example = None if wrong[2] else _western(opened)
    if example is None:
        raise _unknown(opened, source, wrong)
    return Encoding(_WESTERN, f"Windows-1252 ({show(example)})")


def check(opened: Callable[[], IO[bytes]], codec: str, source: str) -> None:
    """Refuse a file that an encoding does not decode."""
    wrong = _first_wrong(opened, codec)
    if wrong is not None:
        offset, byte, _ = wrong
        raise EncT5Error(
            f"{source} is not {codec.removesuffix('-sig')} (byte {byte:#04x} at offset {offset}); correct it, or name "
            "another --encoding"
        )


def _without_mark(begin: bytes) -> str | None:
    """Which UTF-16 it is where every other byte is zero, as in that of western languages."""
    evens, odds = begin[0::2], begin[1::2]
    if len(begin) < 4 or not (evens.count(0) or odds.count(0)):
        return None
    if odds.count(0) > 0.5 * len(odds) and not evens.count(0):
        return "utf-16-le"
    return "utf-16-be" if evens.count(0) > 0.5 * len(evens) and not odds.count(0) else None


def _first_wrong(opened: Callable[[], IO[bytes]], codec: str) -> tuple[int, int, bool] | None:
    """Where the first byte stands that is none of an encoding, which it is, and whether the file ends within it."""
    decoder, offset = codecs.getincrementaldecoder(codec)(), 0
    with opened() as file:
        while True:
            block = file.read(_BLOCK)
            held = decoder.getstate()[0]
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                return offset - len(held) + error.start, error.object[error.start], not block
            except UnicodeError:  # of a mark
                return 0, block[0] if block else 0, not block
            if not block:
                return None
            offset += len(block)


def _lines(opened: Callable[[], IO[bytes]]) -> Iterator[bytes]:
    with opened() as file:
        yield from (line for line in file if not line.isascii())


def _western(opened: Callable[[], IO[bytes]]) -> str | None:
    """A word of a file that is Windows-1252 for certain; `None` for one that may be something else."""
    example, letters = None, set()
    for line in _lines(opened):
        if _MULTIBYTE.search(line):  # UTF-8 with a fault
            return None
        try:
            text = line.decode(_WESTERN)
        except UnicodeDecodeError:
            return None
        if not _KNOWN.fullmatch(text) or _ODD.search(text):
            return None
        letters |= set(text)
        example = example or _word(text)
    # Hungarian or Estonian: no western language has both
    return None if letters & set("õÕ") and letters & set("öÖüÜ") else example


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _word(text: str) -> str:
    return next((word for word in re.findall(r"[^\s,;|\"]+", text) if not word.isascii()), text)


def _unknown(opened: Callable[[], IO[bytes]], source: str, wrong: tuple[int, int, bool]) -> EncT5Error:
    offset, byte, at_end = wrong
    lines = list(islice(_lines(opened), _LINES))
    line = lines[0] if lines else b""
    found = f"{source} is not UTF-8 (byte {byte:#04x} at offset {offset})"
    if at_end:
        return EncT5Error(f"{found}: it ends within a character; get it again, or name its encoding with --encoding")
    if any(_is_utf8(line) for line in lines):
        return EncT5Error(f"{found}, though most of it is; correct it, or name its encoding with --encoding")
    read: dict[str, str] = {}
    for codec in _PROPOSED:
        try:
            word = _word(line.decode(codec))
        except UnicodeDecodeError:
            continue
        if word.isprintable() and word not in read.values():
            read[codec] = word
    proposals = ", ".join(f"{codec} ({show(word)})" for codec, word in read.items())
    return EncT5Error(f"{found}; name its encoding with --encoding, such as {proposals or 'cp1250'}")
