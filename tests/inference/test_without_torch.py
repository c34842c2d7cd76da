"""An exported folder is predicted with where torch and transformers cannot be imported, nor what reads tables."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enct5 import Predictor
from enct5.model.loading import load_tokenizer
from enct5.tokenization.fast_tokenizer import FastTokenizer
from helpers import without_torch
from helpers.graphs import write_graph
from helpers.texts import sentences

pytest.importorskip("onnx", reason="needs the extra [onnx]")
pytest.importorskip("onnxruntime", reason="needs the extra [runtime]")

Base = Callable[..., Path]


@pytest.fixture(scope="module")
def folder(t5_folder: Base, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    tokenizer = load_tokenizer(str(t5_folder()))
    tokenizer.model_max_length = 16
    write_graph(folder, tokenizer, external=False)
    return folder


def test_texts_and_pairs_have_the_logits_of_the_tokens_that_transformers_gives(folder: Path) -> None:
    texts: list[Any] = ["", "a </s> b", "é ü 日本", *sentences(30, longest=40)]
    mine = Predictor.from_pretrained(folder)
    assert isinstance(mine.tokenizer, FastTokenizer)
    theirs = Predictor(mine.engine, load_tokenizer(str(folder)))
    for some in (texts, [(text, text[::-1]) for text in texts]):
        np.testing.assert_array_equal(mine.logits(some), theirs.logits(some))
        assert mine.unread == theirs.unread
    assert mine.unread.texts_cut


def test_predictions_without_torch_are_those_with_it(folder: Path) -> None:
    texts = sentences(20)
    code = f"""
import json, sys
from enct5 import Predictor
predictor = Predictor.from_pretrained({str(folder)!r})
print(json.dumps([predictor.predict({texts!r}, top_k=None), predictor.rank("a", ["b", "c"], label="LABEL_1")]))
heavy = {{"torch", "transformers", "datasets", "pandas", "pyarrow", "sklearn", "scipy", "huggingface_hub", "pydantic"}}
print(sorted(heavy & set(sys.modules)), file=sys.stderr)
"""
    done = without_torch.run_code(code)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "[]"
    predictor = Predictor.from_pretrained(folder)
    results, ranked = json.loads(done.stdout)
    assert results == predictor.predict(texts, top_k=None)
    assert ranked == predictor.rank("a", ["b", "c"], label="LABEL_1")


def test_the_command_predicts_evaluates_and_tells_without_torch(folder: Path, tmp_path: Path) -> None:
    texts = sentences(12)
    (tmp_path / "in.csv").write_text("text,gold\n" + "".join(f"{text},LABEL_{i % 3}\n" for i, text in enumerate(texts)))
    records = Predictor.from_pretrained(folder).predict(texts)
    one = without_torch.run_command("predict", folder, texts[0])
    assert one.returncode == 0, one.stderr
    assert records[0]["label"] in one.stdout
    out = tmp_path / "out.jsonl"
    many = without_torch.run_command("predict", folder, tmp_path / "in.csv", "--text", "text", "--out", out)
    assert many.returncode == 0, many.stderr
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [line["label"] for line in lines] == [record["label"] for record in records]
    columns = ("--text", "text", "--label", "gold", "--json", tmp_path / "figures.json")
    figures = without_torch.run_command("evaluate", folder, tmp_path / "in.csv", *columns)
    assert figures.returncode == 0, figures.stderr
    right = np.mean([record["label"] == f"LABEL_{i % 3}" for i, record in enumerate(records)])
    found = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    assert found["metrics"]["accuracy"] == pytest.approx(right)
    told = without_torch.run_command("info", folder)
    assert told.returncode == 0, told.stderr
    assert "exported to ONNX" in told.stdout
