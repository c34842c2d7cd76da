"""Prompts from words: how names are split, which files are understood, and what the prompts then are."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from transformers import AutoTokenizer

from enct5.errors import EncT5Error
from enct5.model.modeling_enct5 import EncT5ForSequenceClassification
from enct5.training.label_prompts import are_untrained, label_words, read_descriptions, start_from_words

NAMES = ["card_arrival", "no", "ärger"]
DESCRIPTIONS = {"no": "a refusal", "card_arrival": "where is my card: lost?", "ärger": 'he said "nö", angrily'}


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("card_arrival", "card arrival"),
        ("card-arrival", "card arrival"),
        ("cardArrival", "card Arrival"),
        ("AddToPlaylist", "Add To Playlist"),
        ("HTMLParser", "HTML Parser"),
        ("readHTML", "read HTML"),
        ("überGroßeÄpfel", "über Große Äpfel"),
        ("__two  blanks__", "two blanks"),
        ("COVID-19_test", "COVID 19 test"),
        ("joy", "joy"),
        ("7", "7"),
        ("C++ / R&D", "C++ / R&D"),
        ("_", ""),
    ],
)
def test_names_are_split_into_words(label: str, words: str) -> None:
    assert label_words(label) == words


def written(path: Path, content: dict[str, str]) -> str:
    frame = pd.DataFrame({"label": list(content), "description": list(content.values())})
    if path.suffix == ".json":
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    elif path.suffix in (".yaml", ".yml"):
        lines = [f"{label}: {json.dumps(text, ensure_ascii=False)}\n" for label, text in content.items()]
        path.write_text("# what the labels mean\n" + "".join(lines), encoding="utf-8")
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False)
    return str(path)


@pytest.mark.parametrize("kind", [".json", ".yaml", ".yml", ".csv", ".jsonl"])
def test_descriptions_come_in_the_order_of_the_labels(kind: str, tmp_path: Path) -> None:
    source = written(tmp_path / f"labels{kind}", DESCRIPTIONS)
    assert read_descriptions(source, NAMES) == ([DESCRIPTIONS[name] for name in NAMES], [])
    assert read_descriptions(source, ["no"]) == (["a refusal"], ["card_arrival", "ärger"])


@pytest.mark.parametrize("kind", [".json", ".yaml", ".csv"])
def test_labels_without_a_description_are_named(kind: str, tmp_path: Path) -> None:
    content = {"card_arival": "where is it", "no": " ", "other": "anything"}
    source = written(tmp_path / f"labels{kind}", content)
    with pytest.raises(EncT5Error) as caught:
        read_descriptions(source, NAMES)
    assert str(caught.value) == (
        f"{source} does not describe `card_arrival`, `no`, `ärger` (is `card_arival`, which the data does not have, "
        "meant for `card_arrival`?); describe all 3 labels"
    )


def test_of_many_missing_labels_five_are_listed(tmp_path: Path) -> None:
    source = written(tmp_path / "labels.json", {"xyz": "a"})
    with pytest.raises(EncT5Error, match="does not describe `0`, `1`, `2`, `3`, `4` and 3 more; describe all 8 labels"):
        read_descriptions(source, [str(number) for number in range(8)])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", '{"no": ', "cannot read the label descriptions in .*a.json: "),
        ("a.yaml", "no: [unclosed", "cannot read the label descriptions in .*a.yaml: "),
        ("a.json", '{"no": "a", "yes": "b", "no": "c"}', "one object has two keys no"),
        ("a.yaml", "no: a\nyes: b\nno: c", "`no` stands there for the second time .*line 3"),
        ("a.json", "[1]", r"a.json holds `\[1\]`; it must map each label to its description"),
        ("a.yaml", "just text", "holds `just text`; it must map"),
        ("a.json", '{"no": 3}', "the description of `no` is `3`; it must be a text"),
        ("a.json", b"\xff", "cannot read the label descriptions"),
        ("a.csv", "name,description\nno,x\n", "no column `label`.*name, description"),
        ("a.csv", "label,description\nno,x\nno,y\n", "describes `no` 2 times; keep one description"),
        ("a.txt", "no: x", "no column `label` in .*a.txt"),
        ("a.pdf", "no: x", "cannot tell the format of .*a.pdf"),
        (
            "a.json",
            r'{"yes": "x", "no": "cut \ud83d"}',
            r"a.json, description 2: `'\\ud83d'` at character 5 is half of a",
        ),
        ("a.yaml", r'no: "\ud83d"', r"a.yaml, description 1: .* at character 1 is half of a surrogate pair"),
    ],
)
def test_files_that_are_no_descriptions_are_refused(
    name: str, content: str | bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(EncT5Error, match=message):
        read_descriptions(str(tmp_path / name), ["no"])


@pytest.mark.parametrize("name", ["absent.json", "absent.yaml", "absent.csv"])
def test_an_absent_file_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(EncT5Error, match=name):
        read_descriptions(str(tmp_path / name), ["no"])


def test_a_label_with_half_a_character_is_refused(t5_folder: Callable[..., Path]) -> None:
    folder = str(t5_folder())
    model = EncT5ForSequenceClassification.from_t5(folder, 2, problem_type="multi_label_classification")
    with pytest.raises(EncT5Error, match=r"text 2: `'\\ud83d'` at character 4 is half of a surrogate pair"):
        start_from_words(model, AutoTokenizer.from_pretrained(folder), ["fine", "cut\ud83d"])


def test_prompts_are_the_mean_embedding_of_the_words(t5_folder: Callable[..., Path]) -> None:
    folder = str(t5_folder())
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = ["card arrival", "no", "a much longer description of what it means"]
    model = EncT5ForSequenceClassification.from_t5(folder, 3, problem_type="multi_label_classification")
    start_from_words(model, tokenizer, texts)
    words = model.get_input_embeddings().weight
    for prompt, text in zip(model.transformer.decoder.embed_tokens.weight, texts, strict=True):
        ids = tokenizer(text).input_ids[:-1]  # without </s>
        assert len(ids) >= 1
        torch.testing.assert_close(prompt, sum(words[token] for token in ids) / len(ids), atol=1e-6, rtol=1e-5)
    assert model.transformer.decoder.embed_tokens.weight.requires_grad


def test_a_label_without_words_keeps_its_prompt(t5_folder: Callable[..., Path]) -> None:
    folder = str(t5_folder())
    model = EncT5ForSequenceClassification.from_t5(
        folder, problem_type="multi_label_classification", id2label={0: "a", 1: "\u200b"}
    )
    assert are_untrained(model)
    start = model.transformer.decoder.embed_tokens.weight.detach().clone()
    start_from_words(model, AutoTokenizer.from_pretrained(folder), ["a", ""])
    assert not are_untrained(model)
    assert torch.equal(model.transformer.decoder.embed_tokens.weight[1], start[1])


@pytest.mark.parametrize("layers", [1, 2])
def test_permuting_labels_with_their_words_permutes_the_logits(layers: int, t5_folder: Callable[..., Path]) -> None:
    folder = str(t5_folder())
    tokenizer = AutoTokenizer.from_pretrained(folder)
    order = [3, 0, 2, 1]
    names = ["card_arrival", "lost parcel", "no", "refundWanted"]
    logits = []
    for labels in (names, [names[label] for label in order]):
        model = EncT5ForSequenceClassification.from_t5(
            folder,
            problem_type="multi_label_classification",
            id2label=dict(enumerate(labels)),
            num_decoder_layers=layers,
        )
        start_from_words(model, tokenizer, [label_words(label) for label in labels])
        torch.manual_seed(0)
        weights = dict(zip(names, torch.randn(len(names), model.config.d_model), strict=True))
        with torch.no_grad():
            model.classifier.weight.copy_(torch.stack([weights[label] for label in labels]))
            logits.append(model(**tokenizer(["where is my card?", "no"], padding=True, return_tensors="pt")).logits)
    assert logits[0].std(dim=1).min() > 1e-2  # labels do differ
    torch.testing.assert_close(logits[1], logits[0][:, order], atol=1e-4, rtol=0)
