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
from transformers import AutoTokenizer

from enct5 import EncT5ForSequenceClassification
from enct5.assets import bundled_t5
from enct5.cli import command
from enct5.errors import EncT5Error
from enct5.folding.model import FoldedEncT5
from enct5.inference import predictor as predictor_module
from enct5.inference.predictor import Predictor
from enct5.model.conversion import convert
from enct5.model.loading import load_tokenizer
from enct5.training.config import TrainConfig

pytestmark = pytest.mark.usefixtures("one_thread")

Base = Callable[..., Path]
LABELS = ("delivery", "refund", "ärger")
WORDS = ["where", "is", "my", "parcel", "money", "card", "bank", "road", "coffee", "the", "a", "late", "and", "12"]
UNICODE = ["Où est mon colis ?", "我的包裹在哪里", "🙂🎉👩‍👩‍👧", "שלום עולם", "e\u0301", "a\u0000b", "\ufffd", "ẞß"]


def saved_model(
    base: Path, folder: Path, names: tuple[str, ...] = LABELS, task: str = "single_label_classification", **trained: Any
) -> Path:
    """A run folder as training leaves it, its head random but no label favoured: training takes longer."""
    model = convert(str(base), problem_type=task, id2label=dict(enumerate(names))).model
    tokenizer = load_tokenizer(str(base))
    torch.manual_seed(1)
    with torch.no_grad():
        model.classifier.weight.copy_(2 * torch.randn_like(model.classifier.weight))
        inputs = tokenizer(sentences(30), padding=True, return_tensors="pt")
        model.classifier.bias.copy_(-model.eval()(**inputs).logits.mean(0))
    tokenizer.model_max_length = 64
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    settings = {"data": "train.csv", "text": ("text",), "label": "label", "out": "runs/x", "max_length": 64} | trained
    TrainConfig.checked(**settings).write(folder / "train_config.yaml")
    return folder


def sentences(count: int, longest: int = 40) -> list[str]:
    random = np.random.default_rng(0)
    return [" ".join(random.choice(WORDS, size=random.integers(1, longest))) for _ in range(count)]


@pytest.fixture(scope="module")
def folder(t5_folder: Base, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_model(t5_folder(), tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def predictor(folder: Path) -> Predictor:
    return Predictor.from_pretrained(folder)


def plain_logits(predictor: Predictor, *texts: str) -> np.ndarray:
    """The logits of one text or pair by the tokenizer and the model alone."""
    inputs = predictor.tokenizer(*texts, truncation=True, return_tensors="pt")
    with torch.no_grad():
        return predictor.model(**inputs).logits[0].numpy()


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


def test_compiled_predictions_are_the_same(folder: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Any] = []
    original = torch.compile

    def watched(model: torch.nn.Module, **options: Any) -> Any:
        compiled.append(model)
        return original(model, backend="eager", **options)  # test_engines.py runs the real compiler

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
    assert other.settings()["form"] == "inference form"


def test_settings_say_how_predictions_are_made(folder: Path, predictor: Predictor) -> None:
    usual = {"device": "cpu", "dtype": "float32", "threads": 1, "batch_tokens": 2048}
    assert predictor.settings() == {"form": "inference form"} | usual
    half = Predictor.from_pretrained(folder, device="cpu", fold=False, dtype="bfloat16")
    assert half.settings() == {"form": "plain model"} | usual | {"dtype": "bfloat16"}


def test_batches_keep_the_token_budget(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[list[int]] = []
    forward = FoldedEncT5.forward

    def watched(folded: FoldedEncT5, input_ids: torch.Tensor, lengths: list[int]) -> torch.Tensor:
        batches.append(lengths)
        return forward(folded, input_ids, lengths)

    monkeypatch.setattr(FoldedEncT5, "forward", watched)
    predictor.logits(sentences(400))
    assert sum(len(lengths) for lengths in batches) == 400
    assert all(len(lengths) * max(lengths) <= predictor_module.MAX_BATCH_TOKENS for lengths in batches)
    assert len(batches) < 12


def test_the_budget_of_a_batch_can_be_chosen(
    folder: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = sentences(60)
    for fold in (True, False):
        other = Predictor.from_pretrained(folder, batch_tokens=40, fold=fold)
        assert other.settings()["batch_tokens"] == 40
        engine = type(other._engine())
        batches: list[list[int]] = []
        run = engine.__call__

        def watched(self: Any, rows: Any, run: Any = run, batches: Any = batches) -> Any:
            batches.append([len(row) for row in rows])
            return run(self, rows)

        with monkeypatch.context() as patch:
            patch.setattr(engine, "__call__", watched)
            np.testing.assert_allclose(other.logits(texts), predictor.logits(texts), atol=1e-4)
        own = [lengths for lengths in batches if len(lengths) * max(lengths) <= 40 or len(lengths) == 1]
        assert sum(map(len, own)) >= 60
        assert max(map(len, own)) > 1
    for wrong in (0, -3):
        with pytest.raises(EncT5Error, match=rf"`batch_tokens` \(--batch-tokens\) is {wrong}; give a number from 1 on"):
            Predictor.from_pretrained(folder, batch_tokens=wrong)


def test_a_gpu_gets_larger_batches_as_far_as_its_memory_goes(
    folder: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert predictor.settings()["batch_tokens"] == predictor_module.MAX_BATCH_TOKENS
    monkeypatch.setattr(type(predictor.model), "device", torch.device("cuda"))
    a_token = 16 * 32 * 4  # states of d_model 32 in float32
    for free, wanted in ((80e9, predictor_module.MAX_BATCH_TOKENS_OF_A_GPU), (4 * a_token * 5000, 5000), (1e6, 2048)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _, free=free: (int(free), int(free)))
        assert predictor._budget() == wanted
        assert Predictor(predictor.model, predictor.tokenizer, batch_tokens=7)._budget() == 7


def test_a_run_folders_predictor_is_copied_with_its_settings(predictor: Predictor) -> None:
    for other in (pickle.loads(pickle.dumps(predictor)), copy.deepcopy(predictor)):
        assert other.config == predictor.config
        assert other.predict(sentences(5)) == predictor.predict(sentences(5))


def test_padded_batches_are_bounded_by_their_attention(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts, rows = ["parcel " * 60] * 6, []
    monkeypatch.setattr(predictor_module, "MAX_BATCH_SCORES", 4 * 2 * 62**2)  # two rows of 62 tokens, in four heads
    for fold, wanted in ((True, [6]), (False, [2, 2, 2])):
        other = Predictor.from_pretrained(folder, fold=fold)
        engine = type(other._engine())
        run = engine.__call__
        rows.clear()
        with monkeypatch.context() as patch:
            patch.setattr(engine, "__call__", lambda self, given, run=run: rows.append(len(given)) or run(self, given))
            other.logits(texts)
        assert rows == wanted


def test_many_labels_make_small_batches(t5_folder: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved_model(t5_folder(), tmp_path, task="multi_label_classification")
    predictor = Predictor.from_pretrained(folder, fold=False)
    expected = predictor.logits(sentences(10))
    rows = []
    predictor.model.register_forward_pre_hook(
        lambda _, args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    monkeypatch.setattr(predictor_module, "MAX_BATCH_PROMPTS", 7)
    np.testing.assert_allclose(predictor.logits(sentences(10)), expected, atol=1e-4)
    assert rows == [2] * 5  # of three labels each
    rows.clear()
    monkeypatch.setattr(predictor_module, "MAX_BATCH_PROMPTS", 2)
    predictor.logits(sentences(4))
    assert rows == [1] * 4


def test_pairs_are_joined_as_t5_joins_them(predictor: Predictor) -> None:
    pairs = list(zip(sentences(20), sentences(40)[20:], strict=True))
    wanted = np.stack([plain_logits(predictor, *pair) for pair in pairs])
    np.testing.assert_allclose(predictor.logits(pairs), wanted, atol=1e-4)
    np.testing.assert_array_equal(predictor.logits([list(pair) for pair in pairs]), predictor.logits(pairs))
    first, second = (predictor.tokenizer(text)["input_ids"] for text in pairs[0])
    with torch.no_grad():
        by_hand = predictor.model(torch.tensor([first + second])).logits[0].numpy()
    np.testing.assert_allclose(predictor.logits(pairs)[0], by_hand, atol=1e-4)


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
        ([("a", "b"), "a"], "text 2: texts and pairs of texts are mixed"),
        (["a", None], "text 2 is `None`; give a string, or a pair of strings"),
        (["a", "b", 3.5], "text 3 is `3.5`"),
        ([b"bytes"], "text 1 is `b'bytes'`"),
        ([("a", "b", "c")], r"text 1 is `\('a', 'b', 'c'\)`"),
        ([("a", None)], "text 1 is"),
        ([["a"]], "text 1 is"),
        (pd.DataFrame({"text": ["a", "b"]}), "a DataFrame is no list of texts; name its column of texts"),
        (Dataset.from_dict({"text": ["a"]}), "a Dataset is no list of texts; name its column of texts"),
        (pa.table({"text": ["a"]}), "a Table is no list of texts; name its column of texts"),
        ({"text": ["a", "b"]}, "is a dict; give a list of texts"),
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


def test_lists_columns_and_generators_of_texts_are_taken(predictor: Predictor) -> None:
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
    assert predictor.predict(zip(texts, texts, strict=True)) == predictor.predict([(text, text) for text in texts])


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


def pair_scorer(base: Path, folder: Path, names: tuple[str, ...], task: str) -> Predictor:
    return Predictor.from_pretrained(saved_model(base, folder, names, task, text=("query", "document")))


@pytest.mark.parametrize(
    ("task", "names", "label", "worth"),
    [
        ("regression", ("value",), None, [1]),
        ("single_label_classification", ("no", "yes"), None, [0, 1]),
        ("single_label_classification", LABELS, "refund", [0, 1, 0]),
        ("single_label_classification", ("0", "1", "3"), None, [0, 1, 3]),
    ],
)
def test_ranking_sorts_the_scores_of_pairs(
    t5_folder: Base, tmp_path: Path, task: str, names: tuple[str, ...], label: str | None, worth: list[float]
) -> None:
    scorer = pair_scorer(t5_folder(), tmp_path, names, task)
    documents = sentences(12)
    logits = np.stack([plain_logits(scorer, "my card", document) for document in documents])
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    wanted = (logits if task == "regression" else scores) @ np.array(worth)
    ranked = scorer.rank("my card", documents, label)
    assert [record["index"] for record in ranked] == np.argsort(-wanted).tolist()
    assert [record["document"] for record in ranked] == [documents[record["index"]] for record in ranked]
    assert [record["score"] for record in ranked] == pytest.approx(sorted(wanted, reverse=True), abs=1e-4)
    assert all(list(record) == ["index", "document", "score"] for record in ranked)
    assert scorer.rank("my card", documents, label, top_k=3) == ranked[:3]
    assert scorer.rank("my card", documents, label, top_k=99) == ranked
    if task == "regression":
        values = [result["value"] for result in scorer.predict([("my card", document) for document in documents])]
        assert [record["score"] for record in ranked] == sorted(values, reverse=True)


def test_ranking_takes_documents_by_their_place(t5_folder: Base, tmp_path: Path) -> None:
    scorer = pair_scorer(t5_folder(), tmp_path, ("value",), "regression")
    documents = sentences(6)
    wanted = scorer.rank("my card", documents)
    column = pd.Series(documents, index=[5, 3, 4, 0, 1, 2])
    for given in (column, np.array(documents), (document for document in documents)):
        assert scorer.rank("my card", given) == wanted
    later = column[column.index > 1]  # 5, 3, 4 and 2, at places 0 to 3
    assert scorer.rank("my card", later) == scorer.rank("my card", later.tolist())
    for wrong in (column.to_frame(), {"a": "b"}, b"a"):
        with pytest.raises(EncT5Error, match=r"name its column of texts|give a list of texts"):
            scorer.rank("my card", wrong)


def test_ranking_keeps_the_order_of_equals(t5_folder: Base, tmp_path: Path) -> None:
    scorer = pair_scorer(t5_folder(), tmp_path, ("value",), "regression")
    with torch.no_grad():
        scorer.model.classifier.weight.zero_()
    assert [record["index"] for record in scorer.rank("a", ["x", "y", "x", "z"])] == [0, 1, 2, 3]
    assert scorer.rank("a", []) == []


def test_ranking_refuses_what_it_cannot_rank(predictor: Predictor, t5_folder: Base, tmp_path: Path) -> None:
    with pytest.raises(EncT5Error, match=r"trained on single texts \(column `text`\); to rank, train one on pairs"):
        predictor.rank("query", ["a", "b"])
    scorer = pair_scorer(t5_folder(), tmp_path, LABELS, "single_label_classification")
    with pytest.raises(EncT5Error, match="say by which label to rank, as in `label='delivery'`"):
        scorer.rank("query", ["a", "b"])
    with pytest.raises(EncT5Error, match="no label `refnd`; did you mean `refund`"):
        scorer.rank("query", [], label="refnd")
    with pytest.raises(EncT5Error, match="give one string, and a list of strings"):
        scorer.rank("query", "a document", label="refund")
    with pytest.raises(EncT5Error, match="`top_k` is 0; give a number from 1 on"):
        scorer.rank("query", ["a"], label="refund", top_k=0)
    with pytest.raises(EncT5Error, match="text 2 is"):
        scorer.rank("query", ["a", None], label="refund")  # type: ignore[list-item]
    # A model that does not say what it was trained on is taken at the user's word.
    bare = Predictor(predictor.model, predictor.tokenizer)
    assert len(bare.rank("query", ["a", "b"], label="refund")) == 2


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
