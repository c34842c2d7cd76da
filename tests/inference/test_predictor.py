"""Prediction: the model's own logits, in the order of the texts, whatever stands beside them."""

import copy
import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file

from enct5.cli import command
from enct5.errors import EncT5Error
from enct5.inference import predictor as predictor_module
from enct5.inference.predictor import Predictor
from helpers.models import pair_scorer, plain_logits, saved_model
from helpers.texts import LABELS, sentences

pytestmark = pytest.mark.usefixtures("one_thread")

Base = Callable[..., Path]
UNICODE = ["Où est mon colis ?", "我的包裹在哪里", "🙂🎉👩‍👩‍👧", "שלום עולם", "e\u0301", "a\u0000b", "\ufffd", "ẞß"]


def test_logits_are_those_of_the_plain_model_text_by_text(predictor: Predictor) -> None:
    texts = sentences(150)
    assert len({len(text.split()) for text in texts}) > 20
    wanted = np.stack([plain_logits(predictor, text) for text in texts])
    assert wanted.std(axis=0).min() > 0.01  # so that another order would show
    np.testing.assert_allclose(predictor.logits(texts), wanted, atol=1e-4)


def test_results_name_the_likeliest_label_and_its_probability(predictor: Predictor) -> None:
    texts = sentences(20)
    for text, result in zip(texts, predictor.predict(texts), strict=True):
        scores = torch.tensor(plain_logits(predictor, text)).softmax(-1)
        assert result == {"label": LABELS[int(scores.argmax())], "score": pytest.approx(float(scores.max()), abs=1e-4)}


def test_neighbours_do_not_change_a_result(predictor: Predictor) -> None:
    texts = sentences(30)
    alone = np.concatenate([predictor.logits([text]) for text in texts])
    np.testing.assert_allclose(predictor.logits(texts), alone, atol=1e-4)
    np.testing.assert_allclose(predictor.logits(texts[::-1]), alone[::-1], atol=1e-4)
    with_a_long_one = predictor.logits([*texts, "parcel " * 500])
    np.testing.assert_allclose(with_a_long_one[:-1], alone, atol=1e-4)


@pytest.mark.slow
def test_compiled_predictions_are_the_same(folder: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Any] = []
    original = torch.compile

    def watched(model: torch.nn.Module, **options: Any) -> Any:
        compiled.append(model)
        return original(model, backend="eager", **options)  # test_forms.py runs the real compiler

    monkeypatch.setattr(torch, "compile", watched)
    other = Predictor.from_pretrained(folder, compile=True)
    texts = sentences(20)
    np.testing.assert_allclose(other.logits(texts), predictor.logits(texts), atol=1e-4)
    (model,) = compiled  # the model's modules in evaluation mode, with the model's own weights
    assert list(map(id, model.parameters())) == list(map(id, other.model.parameters()))
    assert other.settings()["form"] == "compiled model"


def test_a_compiler_that_fails_is_told_once(
    folder: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*args: Any, **options: Any) -> None:
        raise RuntimeError("no C++ compiler\nat all")

    monkeypatch.setattr(torch, "compile", failing)
    other = Predictor.from_pretrained(folder, compile=True)
    texts = sentences(3)
    for _ in range(2):
        np.testing.assert_array_equal(other.logits(texts), predictor.logits(texts))
    assert [record.getMessage() for record in caplog.records] == [
        "predicting with a model that is not compiled: no C++ compiler"
    ]
    assert other.settings()["form"] == "folded model"


def test_settings_say_how_predictions_are_made(folder: Path, predictor: Predictor) -> None:
    usual = {"device": "cpu", "dtype": "float32", "threads": 1, "batch_tokens": 2048}
    assert predictor.settings() == {"form": "folded model"} | usual
    half = Predictor.from_pretrained(folder, device="cpu", fold=False, dtype="bfloat16")
    assert half.settings() == {"form": "plain model"} | usual | {"dtype": "bfloat16"}


def test_a_run_folders_predictor_is_copied_with_its_settings(predictor: Predictor) -> None:
    for other in (pickle.loads(pickle.dumps(predictor)), copy.deepcopy(predictor)):
        assert other.config == predictor.config
        assert other.predict(sentences(5)) == predictor.predict(sentences(5))


def test_pairs_are_joined_as_t5_joins_them(untold: Predictor) -> None:
    pairs = list(zip(sentences(20), sentences(40)[20:], strict=True))
    wanted = np.stack([plain_logits(untold, *pair) for pair in pairs])
    np.testing.assert_allclose(untold.logits(pairs), wanted, atol=1e-4)
    np.testing.assert_array_equal(untold.logits([list(pair) for pair in pairs]), untold.logits(pairs))
    first, second = (untold.tokenizer(text)["input_ids"] for text in pairs[0])
    with torch.no_grad():
        by_hand = untold.model(torch.tensor([first + second])).logits[0].numpy()
    np.testing.assert_allclose(untold.logits(pairs)[0], by_hand, atol=1e-4)


def test_pairs_and_single_texts_are_for_models_that_were_trained_on_such(
    predictor: Predictor, t5_folder: Base, tmp_path: Path
) -> None:
    for ask in (predictor.predict, predictor.logits, predictor.tokenized, lambda texts: list(predictor.stream(texts))):
        with pytest.raises(EncT5Error, match=r"^the model was trained on `text`; give it single texts$"):
            ask([("a", "b")])
    scorer = pair_scorer(t5_folder(), tmp_path, LABELS, "single_label_classification")
    for ask in (scorer.predict, scorer.logits, scorer.tokenized, scorer.explain):
        with pytest.raises(EncT5Error, match=r"^the model was trained on `.*` and `.*`; give it pairs of texts$"):
            ask("a" if ask in (scorer.predict, scorer.explain) else ["a"])


def test_an_empty_text_is_the_end_token_alone(predictor: Predictor) -> None:
    with torch.no_grad():
        wanted = predictor.model(torch.tensor([[1]])).logits.numpy()
    np.testing.assert_allclose(predictor.logits([""]), wanted, atol=1e-4)
    assert len(predictor.predict(["", "parcel", ""])) == 3


def test_no_texts_give_no_results(predictor: Predictor) -> None:
    assert predictor.predict([]) == []
    assert list(predictor.stream(iter([]))) == []
    assert predictor.logits([]).shape == (0, 3)


def test_any_script_is_predicted(predictor: Predictor) -> None:
    wanted = np.stack([plain_logits(predictor, text) for text in UNICODE])
    np.testing.assert_allclose(predictor.logits(UNICODE), wanted, atol=1e-4)


def test_a_very_long_text_is_cut_to_the_length_of_the_training(predictor: Predictor) -> None:
    assert predictor.tokenizer.model_max_length == 64
    long = "parcel money " * 20_000
    ids = predictor.tokenizer(long, truncation=True, max_length=64)["input_ids"]
    assert (len(ids), ids[-1]) == (64, 1)
    with torch.no_grad():
        wanted = predictor.model(torch.tensor([ids])).logits.numpy()
    np.testing.assert_allclose(predictor.logits([long]), wanted, atol=1e-4)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["a", ("a", "b")], "text 2: texts and pairs of texts are mixed"),
        ([("a", "b"), "a"], "the model was trained on `text`; give it single texts"),
        (["a", None], "text 2 is `None`; give a string, or a pair of strings"),
        (["a", "b", 3.5], "text 3 is `3.5`"),
        ([b"bytes"], "text 1 is `b'bytes'`"),
        ([("a", "b", "c")], r"text 1 is `\('a', 'b', 'c'\)`"),
        ([("a", None)], "text 1 is"),
        ([["a"]], "text 1 is"),
        (pd.DataFrame({"message": ["a", "b"], "n": [1, 2]}), r"no column `text` in DataFrame .*: message, n\)"),
        (Dataset.from_dict({"txt": ["a"]}), "no column `text` in Dataset; did you mean `txt`?"),
        (pa.table({"text": ["a", None]}), r"column `text` of Table lacks the text in 1 of 2 rows \(first: row 2\)"),
        ({"text": ["a", 5]}, "column `text` of data in memory, row 2: `5` is not a text but of type int"),
        ({"a", "b"}, "is a set; give a list of texts"),
        (b"a", "`b'a'` is a bytes; give a list of texts"),
        (np.array("a"), "is a ndarray; give a list of texts"),
        (np.array([["a", "b"]]), r"text 1 is `array\(\['a', 'b'\]"),
        (pd.Series(["a", float("nan")]), "text 2 is `nan`"),
        (None, "`None` is a NoneType; give a list of texts"),
    ],
)
def test_what_is_no_list_of_texts_is_refused(predictor: Predictor, texts: Any, message: str) -> None:
    for ask in (predictor.predict, predictor.logits):
        with pytest.raises(EncT5Error, match=message):
            ask(texts)


def test_one_text_gives_one_result(predictor: Predictor) -> None:
    text = "where is my card?"
    assert predictor.predict(text) == predictor.predict([text])[0]
    assert predictor.predict(np.str_(text)) == predictor.predict([text])[0]
    assert predictor.predict(text, abstain_below=1.0)["label"] is None
    pair = ("where is my card?", "it is late")
    assert predictor.predict(pair) == predictor.predict(list(pair))  # two texts, as ever
    for ask in (predictor.logits, lambda text: list(predictor.stream(text))):
        with pytest.raises(EncT5Error, match="`where is my card\\?` is one text; give a list of texts"):
            ask(text)


def test_lists_columns_and_generators_of_texts_are_taken(predictor: Predictor, untold: Predictor) -> None:
    texts = sentences(6)
    wanted = predictor.logits(texts)
    column = pd.Series(texts, index=[5, 3, 4, 0, 1, 2])
    for given in (
        tuple(texts),
        column,
        pd.Series(texts, index=[*"abcd", "columns", "column_names"]),
        column.index.map(column),
        np.array(texts),
        np.array(texts, dtype=object),
        Dataset.from_dict({"text": texts})["text"],
        (text for text in texts),
    ):
        np.testing.assert_array_equal(predictor.logits(given), wanted)
    assert untold.predict(zip(texts, texts, strict=True)) == untold.predict([(text, text) for text in texts])
    with pytest.raises(EncT5Error, match="text 2: texts and pairs of texts are mixed"):
        untold.predict([("a", "b"), "a"])


def test_refusals_count_texts_from_the_first_of_all(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor_module, "CHUNK_TEXTS", 2)
    with pytest.raises(EncT5Error, match=r"text 4: .* at character 3 is half of a surrogate pair"):
        predictor.predict(["a", "b", "c", "d \udc00"])
    with pytest.raises(EncT5Error, match="text 6 is `7`"):
        predictor.predict(["a", "b", "c", "d", "e", 7])  # type: ignore[list-item]
    with pytest.raises(EncT5Error, match="text 3: texts and pairs"):
        predictor.predict(["a", "b", ("c", "d")])


def test_a_stream_is_read_a_chunk_at_a_time(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor_module, "CHUNK_TEXTS", 4)
    read: list[str] = []

    def source() -> Iterator[str]:
        for text in sentences(10):
            read.append(text)
            yield text

    results = predictor.stream(source())
    assert read == []
    first = next(results)
    assert len(read) == 4
    streamed = [first, *results]
    assert len(read) == 10
    for result, wanted in zip(streamed, predictor.predict(sentences(10)), strict=True):
        assert result == {"label": wanted["label"], "score": pytest.approx(wanted["score"], abs=1e-4)}


def test_multi_label_results_list_labels_from_half_up_best_first(t5_folder: Base, tmp_path: Path) -> None:
    predictor = Predictor.from_pretrained(saved_model(t5_folder(), tmp_path, task="multi_label_classification"))
    texts = sentences(25)
    results = predictor.predict(texts)
    for text, result in zip(texts, results, strict=True):
        scores = torch.tensor(plain_logits(predictor, text)).sigmoid().numpy()
        chosen = [index for index in np.argsort(-scores) if scores[index] >= 0.5]
        assert result["labels"] == [LABELS[index] for index in chosen]
        assert result["scores"] == pytest.approx([scores[index] for index in chosen], abs=1e-4)


def test_multi_label_results_follow_the_thresholds(t5_folder: Base, tmp_path: Path) -> None:
    predictor = Predictor.from_pretrained(saved_model(t5_folder(), tmp_path, task="multi_label_classification"))
    predictor.model.config.thresholds = [0.0, 1.0, 0.3]
    predictor.model.save_pretrained(tmp_path / "again")
    shutil.copy(tmp_path / "tokenizer.json", tmp_path / "again")
    shutil.copy(tmp_path / "tokenizer_config.json", tmp_path / "again")
    texts = sentences(25)
    results = Predictor.from_pretrained(tmp_path / "again").predict(texts)
    third = [torch.tensor(plain_logits(predictor, text)).sigmoid()[2] >= 0.3 for text in texts]
    assert 0 < sum(third) < 25
    for result, given in zip(results, third, strict=True):
        assert set(result["labels"]) == ({LABELS[0], LABELS[2]} if given else {LABELS[0]})


@pytest.mark.parametrize("names", [("value",), ("value_1", "value_2")])
def test_regression_results_are_the_numbers_themselves(t5_folder: Base, tmp_path: Path, names: tuple[str, ...]) -> None:
    predictor = Predictor.from_pretrained(saved_model(t5_folder(), tmp_path, names, "regression"))
    for text, result in zip(sentences(5), predictor.predict(sentences(5)), strict=True):
        wanted = plain_logits(predictor, text).tolist()
        assert result == {"value": pytest.approx(wanted[0] if len(names) == 1 else wanted, abs=1e-4)}


def test_abstaining_takes_the_labels_of_low_scores(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictor_module, "CHUNK_TEXTS", 7)
    texts = sentences(20)
    plain = predictor.predict(texts)
    limit = sorted(result["score"] for result in plain)[10]
    wanted = [result if result["score"] >= limit else {**result, "label": None} for result in plain]
    assert [result["label"] for result in wanted].count(None) == 10
    assert predictor.predict(texts, abstain_below=limit) == wanted
    assert predictor.predict(texts, abstain_below=0) == plain
    with pytest.raises(EncT5Error, match="is 2; give a score from 0 to 1"):
        predictor.predict(texts, abstain_below=2)


@pytest.mark.parametrize(("task", "names"), [("regression", ("value",)), ("multi_label_classification", LABELS)])
def test_only_single_label_models_abstain(t5_folder: Base, tmp_path: Path, task: str, names: tuple[str, ...]) -> None:
    other = Predictor.from_pretrained(saved_model(t5_folder(), tmp_path, names, task))
    with pytest.raises(EncT5Error, match="no prediction can be withheld for its score"):
        other.predict(sentences(3), abstain_below=0.5)


def test_the_scores_of_all_labels_are_a_distribution(predictor: Predictor) -> None:
    texts = sentences(5)
    powers = np.exp(np.stack([plain_logits(predictor, text) for text in texts]))
    wanted = powers / powers.sum(axis=1, keepdims=True)
    for best, row in zip(predictor.predict(texts, top_k=None), wanted, strict=True):
        assert [one["label"] for one in best] == [LABELS[index] for index in np.argsort(-row)]
        assert [one["score"] for one in best] == pytest.approx(sorted(row, reverse=True), abs=1e-5)
        assert sum(one["score"] for one in best) == pytest.approx(1, abs=1e-6)
    assert predictor.predict(texts, top_k=2) == [best[:2] for best in predictor.predict(texts, top_k=None)]
    assert predictor.predict(texts, top_k=9) == predictor.predict(texts, top_k=None)
    assert predictor.predict(texts[0], top_k=None) == predictor.predict(texts[:1], top_k=None)[0]
    assert [best[0] for best in predictor.predict(texts, top_k=2)] == predictor.predict(texts)


def test_scores_of_a_multi_label_model_are_each_labels_own(t5_folder: Base, tmp_path: Path) -> None:
    predictor = Predictor.from_pretrained(saved_model(t5_folder(), tmp_path, task="multi_label_classification"))
    text = sentences(1)[0]
    wanted = dict(zip(LABELS, (1 / (1 + np.exp(-plain_logits(predictor, text)))).tolist(), strict=True))
    best = predictor.predict(text, top_k=None)
    assert {one["label"]: one["score"] for one in best} == pytest.approx(wanted, abs=1e-5)
    assert [one["score"] for one in best] == sorted((one["score"] for one in best), reverse=True)


def test_scores_of_labels_are_refused_where_there_are_none(t5_folder: Base, tmp_path: Path) -> None:
    predictor = Predictor.from_pretrained(saved_model(t5_folder(), tmp_path, ("value",), "regression"))
    with pytest.raises(EncT5Error, match=r"which has no probabilities of labels; leave out `top_k`"):
        predictor.predict(["a"], top_k=None)


def test_no_number_of_labels_is_refused(predictor: Predictor) -> None:
    with pytest.raises(EncT5Error, match=r"`top_k` \(--top-k\) is 0; give a number from 1 on"):
        predictor.predict(["a"], top_k=0)
    with pytest.raises(EncT5Error, match="do not go together"):
        predictor.predict(["a"], abstain_below=0.5, top_k=2)


def test_the_training_settings_come_with_the_folder_where_it_has_them(folder: Path, t5_folder: Base, tmp_path: Path):
    config = Predictor.from_pretrained(folder).config
    assert config is not None
    assert (config.text, config.label) == (("text",), "label")
    copy = saved_model(t5_folder(), tmp_path)
    (copy / "train_config.yaml").unlink()
    assert Predictor.from_pretrained(copy).config is None
    (copy / "train_config.yaml").write_text("{")
    with pytest.raises(EncT5Error, match=r"cannot read .*train_config\.yaml"):
        Predictor.from_pretrained(copy)


def test_outputs_that_are_no_numbers_are_refused(t5_folder: Base, tmp_path: Path) -> None:
    folder = saved_model(t5_folder(), tmp_path)
    weights = load_file(folder / "model.safetensors")
    weights["classifier.bias"][1] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncT5Error, match="outputs are no numbers; `enct5 info`"):
        Predictor.from_pretrained(folder).predict(["parcel"])


_PIPELINE = """
import json, sys
sys.modules["enct5"] = None  # the folder's own code has to do
from transformers import pipeline
classify = pipeline("text-classification", sys.argv[1], trust_remote_code=True, device="cpu")
print(json.dumps(classify(json.load(sys.stdin), truncation=True, batch_size=4)))
"""


@pytest.mark.slow
def test_command_and_pipeline_without_enct5_agree_with_the_predictor(
    folder: Path, predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [*sentences(20), "", *UNICODE[:4], "parcel " * 200]
    wanted = predictor.predict(texts)
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    out = tmp_path / "out.jsonl"
    monkeypatch.setattr(sys, "argv", ["enct5", "predict", str(folder), str(tmp_path / "texts.jsonl"), "-o", str(out)])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 0
    by_command = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert by_command == [{"text": text, **result} for text, result in zip(texts, wanted, strict=True)]
    piped = subprocess.run(
        [sys.executable, "-c", _PIPELINE, str(folder)],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=False,
    )
    assert piped.returncode == 0, piped.stderr
    for result, expected in zip(json.loads(piped.stdout), wanted, strict=True):
        assert result == {"label": expected["label"], "score": pytest.approx(expected["score"], abs=1e-4)}
