"""Numbers as people write them: a decimal comma, separators between thousands, a currency, per cent.

How a column writes them is told from all of it, and only where one reading fits: `1,5` and `1.234,00` have a decimal
comma, `1,234.00` does not, and of `1,234` alone nobody can tell.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from enct5.data.cells import as_number
from enct5.errors import EncT5Error, show

_CURRENCY = (
    r"[$€£¥₹₽₩₺¢]|(?:USD|EUR|GBP|CHF|JPY|CNY|INR|AUD|CAD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|RON|BRL|MXN|RUB|TRY|KRW|ZAR|"
    r"US\$|R\$|Fr|kr|zł|Kč|Ft|lei|Rs)\.?"
)
_WRITTEN = re.compile(
    rf"(?P<before>{_CURRENCY})?\s?(?P<sign>[-+\u2212]?)\s?(?P<after_sign>{_CURRENCY})?\s?"
    rf"(?P<digits>\d[\d.,'\u2019\s]*?)\s?(?P<after>%|{_CURRENCY})?"
)
_FEWEST_COMMAS = 0.1  # share of a column's cells from which on it writes a decimal comma
_MINUS = "\u2212"
_POINT, _COMMA = ".", ","
_SPACES = re.compile(r"(?<=\d)['\u2019\s](?=\d{3}(\D|$))")  # between thousands


class Written(NamedTuple):
    """A column of numbers.

    Attributes:
        values: Its cells, those that are numbers written as `1234.5`.
        said: How they were read, where that may surprise.
        doubt: Why they may be no numbers at all.
    """

    values: Sequence[Any]
    said: str | None = None
    doubt: str | None = None


def read_numbers(values: Sequence[Any], column: str) -> Written:
    """Read the numbers of a column as it writes them; a column without any comes back as it is.

    Args:
        values: The column.
        column: Its name, for messages.

    Raises:
        EncT5Error: If some of its numbers have a decimal comma and others a point, or if no other number tells which
            it is; or if it has several currencies.
    """
    odd = Counter(value for value in values if _is_odd(value))
    different = {value: one for value in odd if (one := _parts(value)) is not None}
    if not different or 2 * sum(odd[value] for value in different) < odd.total():
        return Written(values)
    parts = {row: different[value] for row, value in enumerate(values) if isinstance(value, str) and value in different}
    unit = _one_unit(parts, values, column)
    if unit == "%" and len(parts) < len(values):
        return Written(values)
    plain = {row: _signed(value) for row, value in enumerate(values) if not _is_odd(value) and _is_text(value)}
    digits = {row: one["digits"] for row, one in (parts | plain).items()}
    if 0 < sum(_mark_of(one) == _COMMA for one in digits.values()) < _FEWEST_COMMAS * len(values):
        return Written(values)  # a slip, which is told as no number
    mark = _decimal_mark(digits, values, column)
    read = list(values)
    # where the mark is a comma, the point of what looks plain separates thousands
    for row, one in (parts | plain if mark == _COMMA else parts).items():
        read[row] = one["sign"].replace(_MINUS, "-") + _plain(one["digits"], mark)
    if any(as_number(read[row]) is None for row in digits):
        return Written(values)
    first = next(iter(parts))
    kinds = {"%": "numbers of per cent", None: "numbers"}.get(unit, f"numbers of {show(unit)}")
    said = f"column {show(column)} is read as {kinds}: {show(values[first])} is {read[first]}"
    return Written(read, said, _doubt(parts, values, column))


def _signed(text: str) -> dict[str, str]:
    digits = text.strip().lstrip("+-")
    return {"sign": text.strip()[:1] if text.strip() != digits else "", "digits": digits, "unit": ""}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and as_number(value) is not None


def _is_odd(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and as_number(value) is None


def _parts(value: str) -> dict[str, str] | None:
    """Sign, digits and unit of a number; `None` for what is none."""
    found = _WRITTEN.fullmatch(value.strip())
    if found is None:
        return None
    units = [found[name] for name in ("before", "after_sign", "after") if found[name]]
    digits = _SPACES.sub("", found["digits"])
    if len(units) > 1 or not re.fullmatch(r"\d[\d.,]*", digits) or re.match(r"0\d", digits):
        return None
    return {"sign": found["sign"], "digits": digits, "unit": units[0] if units else ""}


def _one_unit(parts: dict[int, dict[str, str]], values: Sequence[Any], column: str) -> str | None:
    units: dict[str, int] = {}
    for row, one in parts.items():
        if one["unit"]:
            units.setdefault(one["unit"].rstrip(".").lower(), row)
    if len(units) > 1:
        (_, first), (_, second), *_ = units.items()
        raise EncT5Error(
            f"column {show(column)} holds numbers of several units, such as {show(values[first])} in row {first + 1} "
            f"and {show(values[second])} in row {second + 1}; convert them to one, or pass --task single for classes"
        )
    return next(iter(parts[row]["unit"] for row in units.values()), None)


def _mark_of(digits: str) -> str | None:
    """The decimal mark of a number; `None` where it shows none, empty where it could be either."""
    points, commas = digits.count(_POINT), digits.count(_COMMA)
    if points and commas:
        last = max(_POINT, _COMMA, key=digits.rfind)
        return last if digits.count(last) == 1 else "?"
    mark = _POINT if points else _COMMA
    if not points and not commas:
        return None
    other = _COMMA if mark == _POINT else _POINT
    grouped = all(len(part) == 3 for part in digits.split(mark)[1:]) and 1 <= len(digits.split(mark)[0]) <= 3
    if digits.count(mark) > 1:
        return other if grouped else "?"
    return "" if grouped and not digits.startswith("0") else mark


def _decimal_mark(digits: dict[int, str], values: Sequence[Any], column: str) -> str:
    marks: dict[str, int] = {}
    for row, one in digits.items():
        if (mark := _mark_of(one)) is not None:
            marks.setdefault(mark, row)
    if "?" in marks:
        return _POINT  # which leaves a cell that is no number
    if _POINT in marks and _COMMA in marks:
        point, comma = marks[_POINT], marks[_COMMA]
        raise EncT5Error(
            f"column {show(column)} looks like numbers written with a comma in row {comma + 1} ({show(values[comma])}) "
            f"and with a point in row {point + 1} ({show(values[point])}); write all as 1234.5, or pass --task single "
            "for classes"
        )
    if _POINT in marks or _COMMA in marks:
        return _POINT if _POINT in marks else _COMMA
    unclear = marks.get("")
    if unclear is not None and _COMMA in digits[unclear]:
        whole, fraction = (digits[unclear].replace(_COMMA, mark) for mark in ("", _POINT))
        raise EncT5Error(
            f"column {show(column)} looks like numbers written with a comma, and nothing tells whether "
            f"{show(values[unclear])} (row {unclear + 1}) is {whole} or {fraction}; write it so, or pass --task single "
            "for classes"
        )
    return _POINT


def _plain(digits: str, mark: str) -> str:
    other = _COMMA if mark == _POINT else _POINT
    whole, _, rest = digits.partition(mark)
    groups = whole.split(other)
    if other in rest or (
        len(groups) > 1 and (any(len(part) != 3 for part in groups[1:]) or not 1 <= len(groups[0]) <= 3)
    ):
        return ""
    return "".join(groups) + ("." + rest if rest else "")


def _doubt(parts: dict[int, dict[str, str]], values: Sequence[Any], column: str) -> str | None:
    """Whether one digit behind a comma is all there is, as in two labels of numbers."""
    digits = [one["digits"] for one in parts.values()]
    if not all(re.fullmatch(r"\d,\d", one) for one in digits) or any(one["unit"] for one in parts.values()):
        return None
    first = next(iter(parts))
    return (
        f"column {show(column)} looks like numbers written with a comma ({show(values[first])}), or like two labels in "
        "one field; pass --task regression for numbers, --task multi --label-separator , for labels, or --task single"
    )
