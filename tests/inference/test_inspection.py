"""`enct5 info`: facts about a whole checkpoint, a refusal of any damaged one."""

import json
import re
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from enct5.cli import tables
from enct5.cli.conversion import convert_folder
from enct5.errors import EncT5Error
from enct5.files.digests import digest
from enct5.inference.inspection import inspect
from enct5.model.digests import digests_of_tokenizer
from helpers.models import saved_model

Base = Callable[..., Path]


@pytest.fixture(scope="module")
def whole(t5_folder: Base, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_model(t5_folder(), tmp_path_factory.mktemp("model"))


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "model"))


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_trained_model_is_described(whole: Path) -> None:
    facts = inspect(str(whole))
    parameters = sum(tensor.numel() for tensor in load_file(whole / "model.safetensors").values())
    assert facts["model"] == f"EncT5, {parameters / 1e6:.1f}M parameters, float32"
    assert facts["task"].startswith("single-label classification")
    assert facts["labels"] == "3: delivery, refund, ärger"
    assert facts["encoder"] == "2 layers of width 32, relu"
    assert facts["decoder"] == "1 layer(s), 1 prompt(s)"
    assert facts["fine-tuned"] == "yes"
    assert facts["trained on"] == "train.csv, text -> label"
    assert "texts cut to 64" in facts["vocabulary"]


def test_a_converted_model_is_told_to_be_untrained(t5_folder: Base, tmp_path: Path) -> None:
    convert_folder(str(t5_folder()), tmp_path / "new", num_labels=25)
    facts = inspect(str(tmp_path / "new"))
    assert facts["fine-tuned"] == "no: train it before use"
    assert "trained on" not in facts
    assert facts["labels"].startswith("25: LABEL_0, LABEL_1, ")
    assert facts["labels"].endswith("LABEL_19 and 5 more")


def test_tuned_thresholds_are_described(t5_folder: Callable[..., Path], tmp_path: Path) -> None:
    options = {"problem_type": "multi_label_classification", "thresholds": [0.25, 0.5, 0.125]}
    convert_folder(str(t5_folder()), tmp_path / "new", num_labels=3, **options)
    assert inspect(str(tmp_path / "new"))["thresholds"] == "tuned for each label, 0.125 to 0.500"


def test_facts_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    tables.show_facts({"labels": "2: [bold]a[/bold], :smile:, [/x]"})
    assert "2: [bold]a[/bold], :smile:, [/x]" in capsys.readouterr().out


def refusal(folder: Path) -> str:
    with pytest.raises(EncT5Error) as caught:
        inspect(str(folder))
    message = str(caught.value)
    assert str(folder) in message
    assert "\n" not in message
    return message


def test_truncated_weights_are_refused(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:50_000])
    assert "weights" in refusal(folder)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.float8_e4m3fn])
def test_weights_that_are_no_floating_point_numbers_are_refused(dtype: torch.dtype, folder: Path) -> None:
    change_weights(
        folder, lambda weights: weights.update({"classifier.weight": weights["classifier.weight"].to(dtype)})
    )
    assert "classifier.weight is stored as" in refusal(folder)


@pytest.mark.parametrize("method", ["bitsandbytes", "gptq"])
def test_a_quantised_model_without_what_reads_it_is_refused(method: str, folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": method, "bits": 4, "load_in_8bit": True}
    (folder / "config.json").write_text(json.dumps(config))
    if find_spec({"bitsandbytes": "bitsandbytes", "gptq": "gptqmodel"}[method]):
        pytest.skip("it is installed")
    assert f"is quantised ({method}) and cannot be loaded" in refusal(folder)


def test_pickled_weights_are_refused_with_the_remedy(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(EncT5Error, match=r"are pickled \(pytorch_model.bin\), .* save them as safetensors"):
        inspect(str(copy))


def test_missing_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert "model.safetensors" in refusal(folder)


def test_a_missing_tensor_is_named(folder: Path) -> None:
    change_weights(folder, lambda weights: weights.pop("classifier.bias"))
    assert "classifier.bias" in refusal(folder)


def test_a_tensor_of_another_shape_is_refused(folder: Path) -> None:
    change_weights(folder, lambda weights: weights.update({"classifier.weight": torch.zeros(7, 32)}))
    refusal(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_numbers_are_refused(folder: Path, value: float) -> None:
    name = "transformer.encoder.block.1.layer.0.SelfAttention.q.weight"
    change_weights(folder, lambda weights: weights[name][3].fill_(value))
    assert f"{name} holds NaN or infinite values" in refusal(folder)


def test_weights_whose_outputs_are_no_numbers_are_refused(folder: Path) -> None:
    change_weights(folder, lambda weights: weights["classifier.weight"].fill_(3e38))  # each of them is a number
    with pytest.raises(EncT5Error, match="the model's outputs are no numbers"):
        inspect(str(folder))


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_a_damaged_configuration_is_refused(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    refusal(folder)


def test_a_missing_configuration_is_refused(folder: Path) -> None:
    (folder / "config.json").unlink()
    assert "config.json" in refusal(folder)


def test_a_missing_tokenizer_is_refused(folder: Path) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()
    assert "tokenizer" in refusal(folder)


def test_a_damaged_tokenizer_is_refused(folder: Path) -> None:
    file = folder / "tokenizer.json"
    file.write_bytes(file.read_bytes()[:1000])
    assert "tokenizer" in refusal(folder)


def test_a_tokenizer_of_another_model_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["vocab_size"] = 100
    (folder / "config.json").write_text(json.dumps(config))
    change_weights(
        folder,
        lambda weights: weights.update(
            {
                "transformer.encoder.embed_tokens.weight": weights["transformer.encoder.embed_tokens.weight"][
                    :100
                ].clone()
            }
        ),
    )
    assert re.search(r"has token ids up to \d+, but the model 100 embeddings", refusal(folder))


def test_a_plain_t5_is_told_apart(t5_folder: Base) -> None:
    message = refusal(t5_folder())
    assert "'t5', not an EncT5 model" in message
    assert "enct5 convert" in message


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    refusal(tmp_path / "nowhere")


def test_what_may_be_a_folder_or_an_id_is_told_to_be_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "there is no such folder, and the hub does not give it (" in refusal(Path("runs/nowhere"))


def test_an_interrupted_run_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    message = refusal(tmp_path / "run")
    assert "holds an interrupted run and no model yet; finish it by the same `enct5 train` with --resume" in message


def test_a_changed_byte_of_a_runs_weights_is_told(folder: Path) -> None:
    assert "weights" not in inspect(str(folder))
    weights = folder / "model.safetensors"
    (folder / "metrics.json").write_text(json.dumps({"weights_sha256": {weights.name: digest(weights)}}))
    assert inspect(str(folder))["weights"] == "as the run saved them"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1  # still a number
    weights.write_bytes(content)
    assert inspect(str(folder))["weights"].startswith("model.safetensors changed since the run")


def test_a_tokenizer_in_place_of_a_runs_is_told(folder: Path) -> None:
    assert "tokenizer" not in inspect(str(folder))
    saved = digests_of_tokenizer(folder)
    (folder / "metrics.json").write_text(json.dumps({"tokenizer_sha256": saved}))
    assert inspect(str(folder))["tokenizer"] == "as the run saved it"
    other = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    pieces = other["model"]["vocab"]
    pieces[-1], pieces[-2] = pieces[-2], pieces[-1]  # as many tokens: nothing else would notice
    (folder / "tokenizer.json").write_text(json.dumps(other), encoding="utf-8")
    assert inspect(str(folder))["tokenizer"].startswith("tokenizer.json changed since the run")
    (folder / "metrics.json").write_text(json.dumps({"tokenizer_sha256": digests_of_tokenizer(folder)}))
    (folder / "special_tokens_map.json").write_text("{}")
    assert inspect(str(folder))["tokenizer"].startswith("special_tokens_map.json changed since the run")


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"weights_sha256": 3}', '{"tokenizer_sha256": 3}', '{"data": {"unread": {"training": {}}}}']
)
def test_damaged_metrics_are_named(folder: Path, content: str) -> None:
    (folder / "metrics.json").write_text(content)
    with pytest.raises(EncT5Error, match=r"metrics.json is damaged \(.*\); get the run folder again"):
        inspect(str(folder))


def test_what_the_run_could_not_read_is_told(folder: Path) -> None:
    read: dict[str, Any] = {"characters": 200, "unknown_characters": 9, "commonest_unknown": {"ä": 4, "\u00ad": 5}}
    (folder / "metrics.json").write_text(json.dumps({"data": {"unread": {"training": read}}}))
    facts = inspect(str(folder))
    assert facts["unknown"] == "4.5% of the training texts' characters (U+00AD ä)"
    assert "spelt in bytes" not in facts
    read |= {"characters_in_bytes": 150, "commonest_in_bytes": {"の": 90, "い": 60}}
    (folder / "metrics.json").write_text(json.dumps({"data": {"unread": {"training": read}}}))
    assert inspect(str(folder))["spelt in bytes"] == "75.0% of the training texts' characters (の い)"
    (folder / "metrics.json").write_text(json.dumps({"data": {}}))
    assert "unknown" not in inspect(str(folder))
