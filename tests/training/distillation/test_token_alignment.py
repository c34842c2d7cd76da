"""What a teacher says about tokens reaches the right tokens of a student."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import ByT5Tokenizer

from enct5.assets import bundled_t5
from enct5.errors import EncT5Error
from enct5.inference.predictor import Predictor
from enct5.model.loading import load_tokenizer
from enct5.tasks.entities import tag_names
from enct5.tasks.registry import TASKS
from enct5.tokenization.offsets import tokens_with_offsets
from enct5.tokenization.windows import TaggedText
from enct5.training import distillation
from enct5.training.distillation.config import DistillConfig
from enct5.training.distillation.token_alignment import TokenTargets
from helpers.tables import write_rows
from helpers.tagging_runs import TaggingRun, rows

pytestmark = pytest.mark.usefixtures("one_thread")

TAGS = dict(enumerate(tag_names(["place"])))  # O, B-place, I-place
TASK = TASKS["tokens"]


def logits_of(tags: str) -> np.ndarray:
    """Sure logits of tags written as letters."""
    return np.array([[8.0 * (tag == name) for name in "OBI"] for tag in tags], dtype=np.float32)


def tags_of(targets: TokenTargets, text: int = 0) -> str:
    """The likeliest tag of each of the student's tokens, a dot where it has none."""
    return "".join(
        "." if number < 0 else "OBI"[int(targets.teacher[number].argmax())] for number in targets.numbers[text]
    )


def test_the_same_tokens_have_the_same_logits() -> None:
    tokenizer = load_tokenizer(str(bundled_t5()))
    texts = ["my parcel went to Paris", ""]
    random = np.random.default_rng(0)
    outputs = [
        TaggedText(text, offsets, random.normal(size=(len(offsets), 3)).astype(np.float32))
        for text, (_, offsets) in zip(texts, tokens_with_offsets(texts, tokenizer), strict=True)
    ]
    targets = TokenTargets(outputs, tokenizer, TAGS, TASK)
    assert targets.kept == 1
    assert targets.numbers[0].tolist() == list(range(len(outputs[0].offsets)))
    assert np.array_equal(targets.teacher, outputs[0].logits)
    assert targets.numbers[1].tolist() == []


def test_bytes_are_told_what_the_teachers_words_are() -> None:
    text = "to New Ulm é"
    outputs = [TaggedText(text, np.array([[0, 2], [3, 6], [7, 10], [11, 12]]), logits_of("OBIO"))]
    targets = TokenTargets(outputs, ByT5Tokenizer(), TAGS, TASK)
    # t o _ N e w _ U l m _ and the two bytes of é; blanks outside an entity are O, inside one I
    assert tags_of(targets) == "OOO" + "BII" + "I" + "III" + "O" + "OO"
    assert targets.kept == 1
    # what B- had is I-'s within a token: nothing of the probability is lost
    inside = targets.teacher[targets.numbers[0][4]]
    assert np.exp(inside[2]) == pytest.approx(np.exp(8) + 1, rel=1e-5)
    assert inside[1] == -1e4


def test_the_first_token_of_a_blank_less_neighbour_begins_anew() -> None:
    outputs = [TaggedText("AB", np.array([[0, 1], [1, 2]]), logits_of("BB"))]
    assert tags_of(TokenTargets(outputs, ByT5Tokenizer(), TAGS, TASK)) == "BB"


def test_several_tokens_of_one_character_are_one_entity() -> None:
    outputs = [TaggedText("é", np.array([[0, 1]]), logits_of("B"))]
    assert tags_of(TokenTargets(outputs, ByT5Tokenizer(), TAGS, TASK)) == "BI"


def test_words_are_matched_by_their_number() -> None:
    words = ["to", "New", "Ulm"]
    outputs = [TaggedText(words, np.array([[0, 1], [1, 2], [2, 3]]), logits_of("OBI"))]
    # the first byte of each word has the word's tag, as in prediction; the others have none
    assert tags_of(TokenTargets(outputs, ByT5Tokenizer(), TAGS, TASK)) == "O." + "." + "B.." + "." + "I.."


def test_tokenizers_that_cut_too_differently_are_refused() -> None:
    tokenizer = load_tokenizer(str(bundled_t5()))
    text = "delivery"  # one token of the student's, in which the teacher sees two entities
    (_, offsets), *_ = tokens_with_offsets([text], tokenizer)
    assert len(offsets) < len(text)
    outputs = [TaggedText(text, np.array([[i, i + 1] for i in range(len(text))]), logits_of("BIIBOBIB"))]
    with pytest.raises(EncT5Error, match=r"^the tokenizers of teacher and base cut texts too differently: of 4"):
        TokenTargets(outputs, tokenizer, TAGS, TASK)


def test_other_tags_need_the_same_tokenizer() -> None:
    tags = dict(enumerate(["O", "S-place", "B-place"]))
    outputs = [TaggedText("to Ulm", np.array([[0, 2], [3, 6]]), logits_of("OB"))]
    with pytest.raises(EncT5Error, match=r"tokens for BIO tags only .*not O, S-place, B-place;"):
        TokenTargets(outputs, ByT5Tokenizer(), tags, TASK)


@pytest.fixture(scope="module", params=["spans", "tags"])
def teacher(request: pytest.FixtureRequest, tagging_run: Callable[..., TaggingRun]) -> TaggingRun:
    return tagging_run("text", "entities") if request.param == "spans" else tagging_run("tokens", "tags")


def test_a_student_tags_as_its_teacher(teacher: TaggingRun, t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    made = rows(60, seed=7)
    mixed: list[dict[str, Any]] = [
        {teacher.text: row[teacher.text], teacher.label: row[teacher.label] if number < 20 else None}
        for number, row in enumerate(made)
    ]
    config = DistillConfig.checked(
        teacher=str(teacher.out),
        data=write_rows(tmp_path / "new.jsonl", mixed),
        text=(teacher.text,),
        label=teacher.label,
        base=str(t5_folder()),
        out=str(tmp_path / "student"),
        epochs=6,
        batch_size=8,
        learning_rate=1e-2,
        max_length=32,
        eval_fraction=0.3,
    )
    record = distillation.distill(config)
    found = record["distillation"]
    assert 0 < found["labelled_texts"] <= 20
    assert found["judged_by"] == "the teacher's decisions"
    assert record["metrics"] == found["agreement"]
    assert record["metrics"]["entity_f1"] > 0.8
    names = Predictor.from_pretrained(tmp_path / "student").model.config.id2label
    assert [names[number] for number in range(len(names))] == tag_names(["place", "thing"])
