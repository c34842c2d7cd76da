"""Damaged checkpoints, file by file: one line that names what is wrong, or a model that gives numbers; nothing else."""

import json
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from enct5.errors import EncT5Error
from enct5.inference.inspection import inspect
from enct5.inference.predictor import Predictor
from enct5.model.loading import load_model
from helpers.models import saved_model

pytestmark = pytest.mark.usefixtures("one_thread")

Base = Callable[..., Path]
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
# Code that travels with a checkpoint for programs without enct5; enct5 runs its own.
CODE = ("configuration_enct5.py", "modeling_enct5.py")


@pytest.fixture(scope="module")
def checkpoints(t5_folder: Base, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same model in one file and in shards."""
    whole = saved_model(t5_folder(d_model=16, d_kv=4, d_ff=24), tmp_path_factory.mktemp("whole"))
    sharded = Path(shutil.copytree(whole, tmp_path_factory.mktemp("sharded") / "model"))
    (sharded / WEIGHTS).unlink()
    load_model(str(whole)).save_pretrained(sharded, max_shard_size="60KB")
    assert len(list(sharded.glob("*.safetensors"))) == 2
    return {"whole": whole, "sharded": sharded}


def outcome(folder: Path) -> str:
    """What loading, predicting and describing come to: "fine", or the line that refuses one of them."""
    refusals = []
    for use in (
        lambda: Predictor.from_pretrained(folder).logits(["where is my parcel", ""]),
        lambda: inspect(str(folder)),
    ):
        try:
            logits = use()
        except EncT5Error as error:
            refusals.append(str(error))
        else:
            assert isinstance(logits, dict) or np.isfinite(logits).all()
    assert not any("\n" in refusal for refusal in refusals)
    return refusals[0] if refusals else "fine"


def damaged(checkpoint: Path, folder: Path, name: str, content: bytes | None) -> Path:
    """A copy of a checkpoint with one file's content changed, or without it."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(checkpoint, folder)
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    return folder


def files(kind: str) -> list[str]:
    weights = [WEIGHTS] if kind == "whole" else [f"model-0000{part}-of-00002.safetensors" for part in (1, 2)] + [INDEX]
    return [*weights, "config.json", "tokenizer.json", "tokenizer_config.json", "train_config.yaml"]


FILES = [(kind, name) for kind in ("whole", "sharded") for name in files(kind)]


def test_every_file_is_tried(checkpoints: dict[str, Path]) -> None:
    for kind, folder in checkpoints.items():
        assert {file.name for file in folder.iterdir()} == {*files(kind), *CODE}
        assert outcome(folder) == "fine"


@pytest.mark.parametrize(("kind", "name"), FILES)
def test_a_cut_or_missing_file_is_named(checkpoints: dict[str, Path], tmp_path: Path, kind: str, name: str) -> None:
    content = (checkpoints[kind] / name).read_bytes()
    # a tokenizer's configuration says little that its defaults do not, and the settings of a training have defaults
    needed = name not in ("tokenizer_config.json", "train_config.yaml")
    for part in (None, b"", content[: len(content) // 3], content[: len(content) * 2 // 3]):
        line = outcome(damaged(checkpoints[kind], tmp_path / "model", name, part))
        if needed:
            assert (name if part is not None else "safetensors" if name == INDEX else name) in line, (part, line)
        else:
            assert line == "fine" or name in line


def flips(content: bytes, count: int, start: int, end: int, seed: int) -> Iterator[tuple[int, bytes]]:
    """Copies of a file, one byte each changed at random between two places."""
    generator = random.Random(seed)
    for _ in range(count):
        where = generator.randrange(start, end)
        changed = bytearray(content)
        changed[where] ^= generator.choice([1, 2, 4, 8, 16, 32, 64, 128, generator.randrange(1, 256)])
        yield where, bytes(changed)


@pytest.mark.parametrize(("kind", "name"), FILES)
def test_a_changed_byte_is_harmless_or_told(checkpoints: dict[str, Path], tmp_path: Path, kind: str, name: str) -> None:
    content = (checkpoints[kind] / name).read_bytes()
    places = [(0, len(content))]
    if name.endswith(".safetensors"):
        header = 8 + int.from_bytes(content[:8], "little")
        places = [(0, 8), (8, header), (header, len(content))]
    outcomes = Counter()
    for start, end in places:
        for where, changed in flips(content, 4, start, end, seed=len(content)):
            line = outcome(damaged(checkpoints[kind], tmp_path / "model", name, changed))
            outcomes[line == "fine"] += 1
            assert line == "fine" or str(tmp_path) in line, (where, line)
    assert sum(outcomes.values()) == 4 * len(places)


@pytest.mark.parametrize("name", CODE)
def test_code_that_travels_with_it_is_not_run(checkpoints: dict[str, Path], tmp_path: Path, name: str) -> None:
    for content in (None, b"", b"raise SystemExit('run')"):
        assert outcome(damaged(checkpoints["whole"], tmp_path / "model", name, content)) == "fine"


def test_a_tokenizer_that_panics_is_told(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    """What stops in the compiled part of `tokenizers` is no `Exception`."""
    tokenizer = json.loads((checkpoints["whole"] / "tokenizer.json").read_text(encoding="utf-8"))
    part = tokenizer["normalizer"]
    part["precompiled_charsmap"] = "$" + part["precompiled_charsmap"][1:]
    folder = damaged(checkpoints["whole"], tmp_path / "model", "tokenizer.json", json.dumps(tokenizer).encode())
    assert outcome(folder).startswith(f"cannot load the tokenizer of {folder}: tokenizer: ")


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"a_key_of_tomorrow": [1, {"x": None}]}, "fine"),
        ({"_name_or_path": 5}, "fine"),
        ({"id2label": {"0": "a", "1": "b"}, "label2id": None}, "classifier.bias or hold it in another shape"),
        ({"label2id": {"a": 0, "b": 1, "c": 2, "d": 3}, "id2label": None}, "classifier.bias or hold it in another"),
        ({"id2label": {"0": "a", "1": "b"}}, "config.json: `label2id` {"),
        ({"id2label": {"0": "a", "1": "b", "5": "c"}}, "config.json: `id2label` has the keys"),
        ({"id2label": {"a": "a"}}, "config.json: "),
        ({"id2label": ["a", "b", "c"]}, "config.json: "),
        ({"id2label": None}, "fine"),  # `label2id` has the names
        ({"id2label": None, "label2id": None}, "classifier.bias"),
        ({"problem_type": "multi_label_classification"}, "config.json: `decoder_vocab_size` is 1|fine"),
        ({"num_layers": 3}, "encoder.block.2"),
        ({"num_layers": 1}, "encoder.block.1.layer.0.SelfAttention.k.weight, for which config.json has no place"),
        ({"num_layers": -1}, "config.json: `num_layers` is -1; it must be at least 1"),
        ({"num_decoder_layers": 2}, "decoder.block.1"),
        ({"d_model": 24}, "in another shape than config.json says"),
        ({"d_model": "16"}, "config.json: "),
        ({"d_kv": 0}, "config.json: `d_kv` is 0"),
        ({"num_heads": 0}, "config.json: `num_heads` is 0"),
        ({"vocab_size": 100}, "in another shape than config.json says"),
        ({"is_gated_act": True}, "wi_0"),
        ({"dense_act_fn": "nothing"}, "config.json"),
        ({"dropout_rate": 7}, "config.json"),
        ({"layer_norm_epsilon": "small"}, "config.json"),
        ({"relative_attention_num_buckets": 0}, "config.json: `relative_attention_num_buckets` is 0"),
        ({"relative_attention_max_distance": -5}, "config.json: `relative_attention_max_distance` is -5"),
        ({"relative_attention_max_distance": 16}, "config.json: `relative_attention_max_distance` is 16"),
        ({"relative_attention_max_distance": 17}, "fine"),
        ({"eos_token_id": "x"}, "config.json"),
        ({"dtype": "float99"}, "config.json: "),
        ({"dtype": "int8"}, "config.json|weights|fine"),
        ({"model_type": "nothing"}, "config.json: "),
        ({"architectures": ["Nothing"]}, "fine"),
    ],
)
def test_a_configuration_that_does_not_fit_is_told(
    checkpoints: dict[str, Path], tmp_path: Path, values: dict[str, Any], line: str
) -> None:
    config = json.loads((checkpoints["whole"] / "config.json").read_text(encoding="utf-8"))
    content = json.dumps(config | values).encode()
    found = outcome(damaged(checkpoints["whole"], tmp_path / "model", "config.json", content))
    assert any(part in found for part in line.split("|")), found


def test_weights_of_another_model_are_told(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(checkpoints["whole"], tmp_path / "model"))
    weights = load_file(folder / WEIGHTS)
    save_file({f"other.{name}": tensor for name, tensor in weights.items()}, folder / WEIGHTS, {"format": "pt"})
    assert "the weights of" in outcome(folder)
    save_file({**weights, "surplus": torch.zeros(2)}, folder / WEIGHTS, {"format": "pt"})
    assert "hold surplus, for which config.json has no place" in outcome(folder)


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused_by_the_predictor(
    checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    """Its last tokens would be no rows of the embedding."""
    folder = Path(shutil.copytree(checkpoints["whole"], tmp_path / "model"))
    tokenizer = Predictor.from_pretrained(folder).tokenizer
    tokenizer.add_tokens(["parcelparcel"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(EncT5Error, match=r"token ids up to 8192, but the model 8192 embeddings"):
        Predictor.from_pretrained(folder)
