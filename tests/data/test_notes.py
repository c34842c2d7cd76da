"""Notes on the data: counted, with the rows to look at."""

from pathlib import Path
from typing import Any

import pytest

from enct5.data.notes import in_rows, line
from enct5.errors import EncT5Error
from enct5.training.config import TrainConfig
from enct5.training.data import read_rows
from helpers.runs import heard
from helpers.tables import write_rows


@pytest.mark.parametrize(
    ("rows", "said"),
    [([4], "row 5"), ([1, 4], "2 rows (2, 5)"), (range(7), "7 rows (1, 2, 3, 4, 5, ...)")],
)
def test_rows_are_counted_and_the_first_are_named(rows: list[int], said: str) -> None:
    assert in_rows(rows) == said


def notes_on(folder: Path, rows: list[dict[str, Any]], **options: Any) -> list[str]:
    """What a run would note on a file of these rows; the label column is the last one."""
    source = write_rows(folder / "rows.jsonl", rows)
    config = TrainConfig.checked(data=source, text=("text",), label=list(rows[0])[-1], out="x", **options)
    return read_rows(config).notes


def labelled(labels: list[Any]) -> list[dict[str, Any]]:
    return [{"text": f"text {row}", "label": label} for row, label in enumerate(labels)]


def entities(*spans: tuple[int, int]) -> list[dict[str, Any]]:
    return [{"start": start, "end": end, "label": "x"} for start, end in spans]


ALIKE = "labels differ only in case, blanks, unseen characters, Unicode form or how a number is written"
PLAIN = labelled(["a", "b"] * 20)


@pytest.mark.parametrize(
    ("rows", "options", "expected"),
    [
        pytest.param(PLAIN, {}, [], id="nothing"),
        pytest.param(
            labelled([19 + 37 * row for row in range(40)]),
            {},
            ["column `label` is read as numbers, as 40 of its 40 values differ; --task single reads them as classes"],
            id="prices",
        ),
        pytest.param(
            labelled([0.0, 1.0] * 20),
            {},
            [
                "column `label` is read as classes, as none of its numbers has a fraction; --task regression predicts "
                "numbers"
            ],
            id="whole floats",
        ),
        pytest.param(
            labelled([2.5] * 40),
            {},
            ["all 40 values of a target are 2.5: there is nothing to learn; name another column"],
            id="constant target",
        ),
        pytest.param(
            labelled([[0.5, row / 7] for row in range(40)]),
            {},
            ["all 40 values of a target are 0.5: there is nothing to learn; name another column"],
            id="one of two targets is constant",
        ),
        pytest.param(
            labelled([3 * row for row in range(25)] * 4),
            {"eval_fraction": 0.5},
            ["25 classes in 100 rows, 4.0 of a class, are few to learn from; --task regression predicts numbers"],
            id="few rows a class",
        ),
        pytest.param(
            labelled([f"class {row}" for row in range(25)] * 4),
            {"eval_fraction": 0.5},
            [
                "25 classes in 100 rows, 4.0 of a class, are few to learn from; check that the column holds labels, or "
                "add rows"
            ],
            id="few rows a named class",
        ),
        pytest.param(
            labelled([3 * row for row in range(25)] * 12),
            {},
            ["25 different whole numbers are read as classes; --task regression predicts them as numbers"],
            id="amounts",
        ),
        pytest.param(labelled([row + 1 for row in range(25)] * 12), {}, [], id="ids"),
        pytest.param(
            labelled(["delivery", "Delivery", "refund", " refund "] * 10),
            {},
            [f"{ALIKE}: `Delivery` (10) = `delivery` (10); write them alike if they mean the same"],
            id="case",
        ),
        pytest.param(
            labelled(["Café", "Cafe\u0301", "two  words", "two words"] * 10),
            {},
            [
                f"{ALIKE}: `Cafe\\u0301` (10) = "
                "`Caf\\xe9` (10), `two  words` (10) = `two words` (10); write them alike if they mean the same"
            ],
            id="Unicode form",
        ),
        pytest.param(
            labelled(["late", "la\u00adte", "\ufeffon time", "on time"] * 10),
            {},
            [
                f"{ALIKE}: `late` (10) = `la\\xadte` (10), `on time` (10) = `\\ufeffon time` (10); "
                "write them alike if they mean the same"
            ],
            id="unseen characters",
        ),
        pytest.param(
            labelled([1, "1.0", "two"] * 20),
            {},
            [f"{ALIKE}: `1` (20) = `1.0` (20); write them alike if they mean the same"],
            id="number",
        ),
        pytest.param(
            labelled([["a ", "A"], ["a", " a"], [], ["b"]] * 10),
            {},
            [
                f"{ALIKE}: `A` (10) = `a` (20); write them alike if they mean the same",
                "a label is named more than once in 10 rows (2, 6, 10, 14, 18, ...), and counts once",
            ],
            id="lists",
        ),
        pytest.param(
            labelled([["a", "b"], ["a"]] * 20),
            {},
            ["every text has the label `a`: nothing can be learned of it"],
            id="a label of all",
        ),
        pytest.param(
            labelled(["a", "b", "nan", "None", "N/A"] * 20),
            {},
            [
                "60 labels read like missing values: `N/A` (20), `None` (20), `nan` (20); remove those rows, unless "
                "that is what to learn"
            ],
            id="missing",
        ),
        pytest.param(labelled(["none", "all"] * 20), {}, [], id="none may be a class"),
        pytest.param(
            labelled(["red", "blue", "red, blue", "blue, red"] * 10),
            {},
            [
                "4 labels look like combinations of 2, such as `red, blue`; --label-separator ',' reads them as "
                "several labels a text"
            ],
            id="combinations",
        ),
        pytest.param(
            labelled(["a|b", "b|c", "a|c", "a|b|c"] * 10),
            {},
            [
                "4 labels look like combinations of 3, such as `a|b`; --label-separator '|' reads them as "
                "several labels a text"
            ],
            id="combinations of bars",
        ),
        pytest.param(labelled(["cars, bikes", "food, drinks"] * 20), {}, [], id="commas in names"),
        pytest.param(
            [{"text": text, "label": label} for text, label in (("", "a"), ("  ", "b"))] + PLAIN,
            {},
            ["the text is blank in 2 rows (1, 2); fill it in or remove what has no text"],
            id="blank texts",
        ),
        pytest.param(
            [*PLAIN, {"text": "TEXT  1", "label": "b"}, {"text": "text 1", "label": "b"}],
            {},
            [
                "2 of 42 rows repeat the text of an earlier one (row 41 that of row 2, for example; case, repeated "
                "blanks and Unicode form do not count); remove them, unless they are to weigh more"
            ],
            id="copies",
        ),
        pytest.param(
            [*PLAIN, {"text": "text 1", "label": "a"}],
            {},
            [
                "1 of 41 rows repeat the text of an earlier one (row 41 that of row 2, for example; case, repeated "
                "blanks and Unicode form do not count); remove them, unless they are to weigh more",
                "1 repeated text with different labels (rows 2 and 41); correct them: no model can be right about all",
            ],
            id="contradiction",
        ),
        pytest.param(
            [{"text": f"{row} x", "label": ["a", "b"]} for row in range(20)]
            + [{"text": f"{row} x", "label": ["b", "a"]} for row in range(20)]
            + labelled([["a"], ["b"]]),
            {},
            [
                "20 of 42 rows repeat the text of an earlier one (row 21 that of row 1, for example; case, repeated "
                "blanks and Unicode form do not count); remove them, unless they are to weigh more",
            ],
            id="another order is no contradiction",
        ),
        pytest.param(
            [{"text": f"{row} x", "label": [row + 0.5, 1.5]} for row in range(20)]
            + [{"text": "7 x", "label": [1.5, 7.5]}],
            {},
            [
                "1 of 21 rows repeat the text of an earlier one (row 21 that of row 8, for example; case, repeated "
                "blanks and Unicode form do not count); remove them, unless they are to weigh more",
                "1 repeated text with different labels (rows 8 and 21); correct them: no model can be right about all",
            ],
            id="another order of targets is one",
        ),
        pytest.param(
            labelled(["ok"] * 60 + ["billing"] * 2 + ["alone"]),
            {},
            [
                "2 of 3 labels are not among the evaluation's texts, so no figure is about `alone` (1), `billing` (2); "
                "add rows, raise --eval-fraction, or give a file with --eval"
            ],
            id="not evaluated",
        ),
        pytest.param(
            [
                {
                    "text": f"Anna{row} asks Bo",
                    "label": entities((1, 5), (11 + len(str(row)) - 1, 13 + len(str(row)) - 1)),
                }
                for row in range(20)
            ],
            {},
            [
                "20 of 40 entities begin or end inside a word (first: row 1, 1 to 5); start and end count characters "
                "from 0, the end excluded"
            ],
            id="cut words",
        ),
        pytest.param(
            [{"text": f"東京に行く{row}", "label": entities((0, 2))} for row in range(20)],
            {},
            [],
            id="no blanks between words",
        ),
        pytest.param(
            [{"text": str(row), "label": "ab"[row % 2]} for row in range(40)],
            {},
            ["all 40 texts are numbers; if these are ids, name the column that holds the texts"],
            id="ids as texts",
        ),
        pytest.param(
            labelled(["a", "b\nb"] * 20),
            {},
            ["1 label with line breaks or other control characters: `b\\nb`; is a quote in the file closed too late?"],
            id="line breaks in labels",
        ),
    ],
)
def test_what_is_noted(
    tmp_path: Path, rows: list[dict[str, Any]], options: dict[str, Any], expected: list[str]
) -> None:
    """Counted, with rows, names and what to do; what is as it should be is not mentioned."""
    assert notes_on(tmp_path, rows, **options) == expected


def test_an_evaluation_file_has_notes_of_its_own(tmp_path: Path) -> None:
    """They name it; a label that only training has is told as for a held-out part."""
    held = write_rows(tmp_path / "held.jsonl", [{"text": "x", "label": "a"}, {"text": " ", "label": "a"}])
    assert notes_on(tmp_path, PLAIN, eval=held) == [
        "held.jsonl: the text is blank in row 2; fill it in or remove what has no text",
        "1 of 2 labels is not among the evaluation's texts, so no figure is about `b` (20); add rows, raise "
        "--eval-fraction, or give a file with --eval",
    ]


def test_texts_are_never_in_a_note(tmp_path: Path) -> None:
    """The card must not hold them."""
    rows = [{"text": f"secret {row % 31}", "label": "ab"[row % 2]} for row in range(40)] + [{"text": " ", "label": "a"}]
    notes = notes_on(tmp_path, rows)
    assert len(notes) == 3
    assert not any("secret" in note for note in notes)


def test_one_split_line_says_what_the_split_is(tmp_path: Path) -> None:
    """Stratified where every label is on both sides; how labels and copies fared where not."""
    copies = [*PLAIN, {"text": "text 1", "label": "b"}]
    for rows, how in (
        (PLAIN, "stratified"),
        (copies, "stratified, copies of a text together"),
        (labelled(["ok"] * 60 + ["billing"] * 2), "without 1 of the 2 labels"),
        (labelled([row / 7 for row in range(40)]), "at random"),
    ):
        source = write_rows(tmp_path / "rows.jsonl", rows)
        said: list[str] = []
        with heard(said.append):
            read_rows(TrainConfig.checked(data=source, text=("text",), label="label", out="x"))
        assert said[-1].endswith(f" rows held out of rows.jsonl ({how}, seed 42)")


def test_a_table_of_blank_texts_is_refused(tmp_path: Path) -> None:
    """Whichever of the files it is."""
    blank = [{"text": " ", "label": "ab"[row % 2]} for row in range(40)]
    with pytest.raises(
        EncT5Error, match=r"rows.jsonl: the text is blank in 40 rows \(1, 2, 3, .*which is all; name the"
    ):
        notes_on(tmp_path, blank)
    with pytest.raises(EncT5Error, match=r"held.jsonl: the text is blank in row 1, which is all"):
        notes_on(tmp_path, PLAIN, eval=write_rows(tmp_path / "held.jsonl", blank[:1]))


def test_a_warning_is_said_as_one() -> None:
    assert line("two rows are odd") == "note: two rows are odd"
    assert line("warning: all rows are odd") == "warning: all rows are odd"
