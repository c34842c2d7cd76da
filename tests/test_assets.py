"""The bundled T5 is an ordinary T5 checkpoint, small, with a model card; whatever is bundled states its licence."""

import json
import re
from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoTokenizer, T5ForConditionalGeneration

from enct5 import EncT5ForSequenceClassification
from enct5.assets import bundled_t5, demo_data

ASSETS = bundled_t5().parent


@pytest.fixture
def t5() -> Path:
    return bundled_t5()


def test_it_is_a_t5_with_its_tokenizer_and_sentinels(t5):
    model, loading = T5ForConditionalGeneration.from_pretrained(t5, output_loading_info=True)
    tokenizer = AutoTokenizer.from_pretrained(t5)
    assert not loading["unexpected_keys"]
    assert len(tokenizer) <= model.config.vocab_size
    assert (
        tokenizer.decode(tokenizer("Where is my parcel?").input_ids, skip_special_tokens=True) == "Where is my parcel?"
    )
    first, last = tokenizer.convert_tokens_to_ids(["<extra_id_0>", "<extra_id_99>"])
    assert first - last == 99
    assert tokenizer("a", "b").input_ids.count(tokenizer.eos_token_id) == 2


def test_it_fills_gaps_better_than_chance(t5):
    # An untrained model of 30,000 tokens loses 10 nats and more a token.
    model = T5ForConditionalGeneration.from_pretrained(t5, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(t5)
    inputs = tokenizer("He put the letter into <extra_id_0> and went out of the <extra_id_1>.", return_tensors="pt")
    labels = tokenizer("<extra_id_0> his pocket <extra_id_1> room", return_tensors="pt").input_ids
    with torch.no_grad():
        assert model(**inputs, labels=labels).loss < 7


@pytest.mark.parametrize("text", ["日本語", "Größe", "5 € £3", "ünïcode", "😄", "ไทย"])
def test_no_text_is_unknown_to_it(t5, text):
    tokenizer = AutoTokenizer.from_pretrained(t5)
    ids = tokenizer(text).input_ids
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_it_converts_and_stays_small(t5):
    model = EncT5ForSequenceClassification.from_t5(str(t5), num_labels=3)
    assert model.dtype == torch.float32
    assert sum(file.stat().st_size for file in t5.iterdir()) < 25e6


def test_its_card_says_what_it_is(t5):
    card = (t5 / "README.md").read_text(encoding="utf-8")
    front_matter = yaml.safe_load(card.split("---")[1])
    record = json.loads((t5 / "distillation.json").read_text(encoding="utf-8"))
    assert front_matter["license"] == "apache-2.0"
    assert front_matter["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert f"{record['held_out']['passages']['passage']:.3f}" in card
    assert not any("OVERLAPS_SST2" in name for name in record["files"])


def test_whatever_is_bundled_states_its_licence():
    assert {path.name for path in ASSETS.iterdir() if path.is_file()} == {"__init__.py"}
    folders = [path for path in ASSETS.iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert {bundled_t5(), demo_data("train").parent} == set(folders)
    for folder in folders:
        card = (folder / "README.md").read_text(encoding="utf-8")
        assert set(re.findall(r"licen[cs]e: ([\w.-]+\w)", card.lower())) == {"apache-2.0"}, folder  # as pyproject.toml


def test_the_card_names_the_source_of_every_text_that_the_t5_has_read(t5):
    card = (t5 / "README.md").read_text(encoding="utf-8")
    record = json.loads((t5 / "distillation.json").read_text(encoding="utf-8"))
    for file in record["files"]:
        source = re.search(rf"\b{file.partition('.')[0]}: ([^:]+)", card)
        assert source, file
        assert re.search(r"public.domain|CC BY|American National Corpus", source[1]), file
