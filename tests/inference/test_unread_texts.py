"""What the tokenizer did not read of a call is warned of once."""

from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from enct5 import EncT5ForSequenceClassification
from enct5.assets import bundled_t5
from enct5.inference.predictor import Predictor
from helpers.models import pair_scorer

Base = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("one_thread")


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage() for record in caplog.records if "unknown to" in record.getMessage()]
    caplog.clear()
    return found


def test_a_call_of_unknown_characters_is_warned_of_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    predictor = Predictor.from_pretrained(folder)
    predictor.predict(["é"])  # says little of the texts to come
    predictor.predict(["where is my parcel"] * 100)
    assert warned(caplog) == []
    predictor.predict(["where is my parcel", "Где моя посылка"])
    (message,) = warned(caplog)
    assert message.startswith("46.4% of the characters of 2 texts are unknown to the model's tokenizer, most often")
    assert "1 of 2 texts hold no known letter or digit" in message
    assert "google/mt5-small" in message
    predictor.predict(["Где моя посылка"])
    assert warned(caplog) == []
    assert predictor.unread.texts == 104
    assert predictor.unread.unknown_characters == 1 + 13 + 13


def test_texts_one_by_one_are_warned_of_together(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    predictor = Predictor.from_pretrained(folder)
    for _ in range(9):
        predictor.predict(["é où"])
    (message,) = warned(caplog)
    assert message.startswith("66.7% of the characters of 5 texts are unknown")


def test_texts_in_bytes_are_warned_of_once(t5_folder: Callable[..., Path], caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = AutoTokenizer.from_pretrained(bundled_t5())
    model = EncT5ForSequenceClassification.from_t5(t5_folder(vocab_size=len(tokenizer)), num_labels=2)
    predictor = Predictor(model, tokenizer)
    predictor.predict(["It\u2019s a café 😀"])  # says little of the texts to come
    assert caplog.records == []
    predictor.predict(["where is my parcel", "Где моя посылка"])
    predictor.predict(["Где моя посылка"])
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith(
        "46.4% of the characters of 2 texts are spelt in bytes by the model's tokenizer, most often"
    )
    assert (predictor.unread.spelt_characters, predictor.unread.wholly_spelt) == (2 + 13 + 13, 2)


def test_few_unknown_characters_are_not_warned_of(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    predictor = Predictor.from_pretrained(folder)
    predictor.predict(["where is my parcel", "the parcel für me"] * 50)
    assert predictor.unread.unknown_characters == 50
    assert predictor.unread.unknown_share < 0.05
    assert warned(caplog) == []


def test_pairs_and_rankings_are_counted(t5_folder: Base, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    predictor = pair_scorer(t5_folder(), tmp_path, ("no", "yes"), "single_label_classification")
    predictor.rank("parcel", ["посылка", "посылка", "parcel"])
    (message,) = warned(caplog)
    assert message.startswith("36.8% of the characters of 3 texts")
