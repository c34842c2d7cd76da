"""A tokenizer is one of its model: no id beyond the embedding reaches it, whichever way the two come together."""

from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import AutoTokenizer, ByT5Tokenizer, PreTrainedTokenizerBase

from enct5.cli.conversion import convert_folder
from enct5.errors import EncT5Error
from enct5.export.onnx import export
from enct5.inference.predictor import Predictor
from enct5.model.conversion import convert
from enct5.model.loading import load_tokenizer
from enct5.model.vocabularies import check_tokenizer
from helpers.runs import messages, start
from helpers.tables import write_rows

Base = Callable[..., Path]
REFUSED = r"the tokenizer of .* has token ids up to \d+, but the model \d+ embeddings .*; they do not belong together"


@pytest.fixture(scope="module")
def too_small(t5_folder: Base) -> Path:
    """A T5 with one embedding less than its tokenizer has ids."""
    return t5_folder(vocab_size=len(AutoTokenizer.from_pretrained(t5_folder())) - 1)


@pytest.mark.parametrize("kind", [AutoTokenizer, ByT5Tokenizer])
def test_the_highest_id_has_to_have_an_embedding(kind: type, t5_folder: Base) -> None:
    tokenizer: PreTrainedTokenizerBase = ByT5Tokenizer() if kind is ByT5Tokenizer else load_tokenizer(str(t5_folder()))
    highest = len(tokenizer) - 1
    check_tokenizer(tokenizer, highest + 1)
    check_tokenizer(tokenizer, highest + 28)  # T5's own embedding has 28 more than its tokenizer
    with pytest.raises(EncT5Error, match=f"ids up to {highest}, but the model {highest} embeddings"):
        check_tokenizer(tokenizer, highest)


def test_ids_with_gaps_are_refused_by_the_highest(t5_folder: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = load_tokenizer(str(t5_folder()))
    size = len(tokenizer)
    vocabulary = {token: number for token, number in tokenizer.get_vocab().items() if number % 7}
    monkeypatch.setattr(tokenizer, "get_vocab", lambda: vocabulary | {"far": size})
    assert len(tokenizer.get_vocab()) < size
    with pytest.raises(EncT5Error, match=f"ids up to {size}, but the model {size} embeddings"):
        check_tokenizer(tokenizer, size)


def test_a_base_is_refused_by_every_way_in(too_small: Path, tmp_path: Path) -> None:
    with pytest.raises(EncT5Error, match=REFUSED):
        convert_folder(str(too_small), tmp_path / "converted", num_labels=2)
    with pytest.raises(EncT5Error, match=REFUSED):
        start(too_small, tmp_path / "run", write_rows(tmp_path / "a.jsonl", messages(30)))
    model, tokenizer = convert(str(too_small), num_labels=2).model, load_tokenizer(str(too_small))
    with pytest.raises(EncT5Error, match=REFUSED):
        Predictor(model, tokenizer)
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    with pytest.raises(EncT5Error, match=REFUSED):
        export(str(tmp_path / "model"), tmp_path / "exported")
    assert {file.name for file in tmp_path.iterdir()} == {"a.jsonl", "model"}  # nothing is left of what was refused


def test_prompts_of_label_names_are_not_looked_up_before(too_small: Path, tmp_path: Path) -> None:
    rows = [row | {"label": [row["label"]]} for row in messages(30)]
    with pytest.raises(EncT5Error, match=REFUSED):
        start(too_small, tmp_path / "run", write_rows(tmp_path / "a.jsonl", rows))
