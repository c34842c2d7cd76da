"""Export: ONNX Runtime gives the model's predictions, and nothing is written that would not."""

import io
import json
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from enct5 import Predictor
from enct5.cli import command
from enct5.errors import EncT5Error
from enct5.export import onnx as export
from enct5.export.onnx_session import OnnxEncT5
from enct5.model.loading import load_model
from helpers.hub import hub_cache
from helpers.models import saved_model
from helpers.texts import LABELS, sentences

pytest.importorskip("onnx", reason="needs the extra [onnx]")
pytest.importorskip("onnxscript", reason="needs the extra [onnx]")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra [onnx]")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

Base = Callable[..., Path]
KINDS: dict[str, dict[str, Any]] = {
    "multi": {"base": {"num_decoder_layers": 2}, "task": "multi_label_classification"},
    "regression": {"base": {"feed_forward_proj": "gated-gelu"}, "task": "regression", "names": ("urgency",)},
}


@pytest.fixture(scope="module")
def single(t5_folder: Base, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_model(t5_folder(), tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def exported_single(single: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its export, by the command."""
    out = tmp_path_factory.mktemp("export") / "onnx"
    status, text, _ = run_command("export", str(single), str(out), "--format", "onnx")
    assert status == 0
    assert "logits differ from the model's by" in text
    return out


@pytest.fixture(scope="module", params=["single", *KINDS])
def folders(request: pytest.FixtureRequest, t5_folder: Base, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run folder of each kind, and its export."""
    if request.param == "single":
        return request.getfixturevalue("single"), request.getfixturevalue("exported_single")
    kind = KINDS[request.param]
    root = tmp_path_factory.mktemp("export")
    folder = saved_model(t5_folder(**kind["base"]), root / "run", kind.get("names", LABELS), kind["task"])
    if request.param == "regression":  # a checkpoint in half precision is exported in float32
        load_model(str(folder)).half().save_pretrained(folder)
    assert export.export(str(folder), root / "onnx").difference < 1e-5
    return folder, root / "onnx"


def test_the_graph_does_not_tell_where_it_was_made(exported_single: Path) -> None:
    graph = (exported_single / "model.onnx").read_bytes()
    assert b"MatMul" in graph
    assert str(Path(export.__file__).parent).encode() not in graph
    assert b'File "' not in graph


def spare_exporter(exported_single: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the time of further exports of the same model."""
    monkeypatch.setattr(export, "_write_float32", lambda _, file: shutil.copy(exported_single / "model.onnx", file))


@pytest.fixture
def no_exporter(exported_single: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spare_exporter(exported_single, monkeypatch)


def run_command(*arguments: str) -> tuple[int, str, str]:
    """Status, output and errors of the command."""
    output, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output), redirect_stderr(errors):
        patch.setattr("sys.argv", ["enct5", *arguments])
        with pytest.raises(SystemExit) as stopped:
            command.main()
    return int(stopped.value.code or 0), output.getvalue(), errors.getvalue()


def test_the_exported_folder_predicts_as_the_run_folder_does(folders: tuple[Path, Path]) -> None:
    run, exported = (Predictor.from_pretrained(folder) for folder in folders)
    assert isinstance(exported.model, OnnxEncT5)
    texts = ["", *sentences(60, longest=100)]  # more than the 64 tokens that are read
    wanted = run.logits(texts)
    assert wanted.std(axis=0).min() > 0.01
    np.testing.assert_allclose(exported.logits(texts), wanted, atol=1e-4)
    for record, by_torch in zip(exported.predict(texts), run.predict(texts), strict=True):
        for name, value in by_torch.items():
            inexact = name in ("score", "scores", "value")
            assert record[name] == (pytest.approx(value, abs=1e-4) if inexact else value)
    assert exported.config == run.config


def test_the_graph_needs_no_enct5(folders: tuple[Path, Path]) -> None:
    run, exported = folders
    model, session = load_model(str(run)), onnxruntime.InferenceSession(exported / "model.onnx")
    assert [(entry.name, entry.shape, entry.type) for entry in session.get_inputs()] == [
        ("input_ids", ["batch", "length"], "tensor(int64)"),
        ("attention_mask", ["batch", "length"], "tensor(int64)"),
    ]
    for shape in ((1, 1), (3, 70), (40, 2)):
        ids = torch.randint(2, 8000, shape, generator=torch.Generator().manual_seed(0))
        mask = torch.ones_like(ids)
        mask[1:, 1:] = 0
        with torch.no_grad():
            wanted = model.float().eval()(ids, attention_mask=mask).logits.numpy()
        (logits,) = session.run(["logits"], {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})
        np.testing.assert_allclose(logits, wanted, atol=1e-4)


def test_labels_and_tokenizer_lie_beside_the_graph(folders: tuple[Path, Path]) -> None:
    run, exported = folders
    config = json.loads((exported / "config.json").read_text(encoding="utf-8"))
    assert config["id2label"] == json.loads((run / "config.json").read_text(encoding="utf-8"))["id2label"]
    assert {"tokenizer.json", "train_config.yaml"} < {file.name for file in exported.iterdir()}
    assert not list(exported.glob("*.safetensors"))


@pytest.mark.parametrize("int8", [False, True])
def test_texts_of_several_windows_are_read_whole(t5_folder: Base, tmp_path: Path, int8: bool) -> None:
    run = saved_model(t5_folder(), tmp_path / "run")
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    (run / "config.json").write_text(json.dumps({**config, "encoder_window": 9}), encoding="utf-8")
    assert export.export(str(run), tmp_path / "onnx", int8).mean_difference < (0.05 if int8 else 1e-6)
    plain, exported = (Predictor.from_pretrained(tmp_path / name) for name in ("run", "onnx"))
    texts = ["", *sentences(30, longest=60)]
    wanted = plain.logits(texts)
    found = exported.logits(texts)
    near = 1 if int8 else 1e-4  # the logits are about 4
    np.testing.assert_allclose(found, wanted, atol=near)
    np.testing.assert_allclose(exported.logits(texts[::-1])[::-1], found, atol=near)
    # the graph does not know how long they are
    exported.engine.config = replace(exported.engine.config, encoder_window=64)
    plain.model.config.encoder_window = None
    whole = plain.logits(texts)
    np.testing.assert_allclose(exported.logits(texts), whole, atol=near)
    assert np.abs(whole - wanted).max() > 1
    session = onnxruntime.InferenceSession(tmp_path / "onnx" / "model.onnx")
    assert {entry.name: entry.shape for entry in session.get_inputs()} == {
        "input_ids": ["batch", "length"],
        "attention_mask": ["batch", "length"],
        "windows": ["texts", "most_windows"],
    }


def test_a_graph_without_windows_is_not_given_any(single: Path, exported_single: Path, tmp_path: Path) -> None:
    shutil.copytree(exported_single, tmp_path / "onnx")
    config = json.loads((tmp_path / "onnx" / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "onnx" / "config.json").write_text(json.dumps({**config, "encoder_window": 9}), encoding="utf-8")
    with pytest.raises(EncT5Error, match=r"ONNX Runtime stopped: .*windows"):
        Predictor.from_pretrained(tmp_path / "onnx").logits(sentences(2))


def test_taggers_give_the_same_entities(t5_folder: Base, tmp_path: Path) -> None:
    from enct5.model.conversion import convert
    from enct5.model.loading import load_tokenizer

    base = str(t5_folder())
    names = dict(enumerate(["O", "B-thing", "I-thing"]))
    model = convert(base, problem_type="token_classification", id2label=names, token_decoder=True).model
    with torch.no_grad():
        model.classifier.weight.normal_(generator=torch.Generator().manual_seed(0))
    tokenizer = load_tokenizer(base)
    tokenizer.model_max_length = 24  # longer texts are read in windows
    model.save_pretrained(tmp_path / "run")
    tokenizer.save_pretrained(tmp_path / "run")
    export.export(str(tmp_path / "run"), tmp_path / "onnx")
    texts = sentences(20)
    run, exported = (Predictor.from_pretrained(tmp_path / name).predict(texts) for name in ("run", "onnx"))
    assert sum(len(record["entities"]) for record in run) > 20
    for record, by_torch in zip(exported, run, strict=True):
        assert [entity | {"score": 0} for entity in record["entities"]] == [
            entity | {"score": 0} for entity in by_torch["entities"]
        ]


@pytest.mark.usefixtures("no_exporter")
def test_int8_is_near_and_smaller(single: Path, tmp_path: Path) -> None:
    result = export.export(str(single), tmp_path / "int8", int8=True)
    assert 1e-4 < result.mean_difference < export.INT8_TOLERANCE
    assert {file.name for file in (tmp_path / "int8").glob("*.onnx*")} == {"model.onnx"}
    texts = sentences(60)
    wanted = Predictor.from_pretrained(single).logits(texts)
    for predictor in (
        Predictor.from_pretrained(tmp_path / "int8"),
        Predictor.from_pretrained(single, quantize="int8"),
    ):
        logits = predictor.logits(texts)
        assert 1e-4 < np.abs(logits - wanted).mean() < 0.1 * np.abs(wanted).max()
        assert (logits.argmax(-1) == wanted.argmax(-1)).mean() > 0.8


@pytest.mark.parametrize("int8", [False, True])
def test_a_large_model_has_its_weights_beside_the_graph_under_one_name(
    int8: bool, single: Path, exported_single: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        spare_exporter(exported_single, patched)
        export.export(str(single), tmp_path / "small", int8)
    monkeypatch.setattr(export, "_LARGEST_FILE", 0)
    export.export(str(single), tmp_path / "large", int8)
    files = {file.name for file in (tmp_path / "large").iterdir()} - {
        file.name for file in (tmp_path / "small").iterdir()
    }
    assert files == {"model.onnx.data"}
    found = [Predictor.from_pretrained(tmp_path / name) for name in ("small", "large")]
    assert isinstance(found[1].model, OnnxEncT5)
    assert found[1].model.megabytes == pytest.approx(found[0].model.megabytes, rel=0.2)
    np.testing.assert_allclose(found[1].logits(sentences(20)), found[0].logits(sentences(20)), atol=1e-5)


@pytest.mark.usefixtures("no_exporter")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_callers_model_stays_as_it_is(
    dtype: torch.dtype, single: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "TOLERANCE", 0.1)  # the graph is that of the model in float32
    model = load_model(str(single)).to(dtype).train()
    model.transformer.encoder.eval()
    tensors = {name: (parameter.data_ptr(), parameter.clone()) for name, parameter in model.named_parameters()}
    modes = {name: module.training for name, module in model.named_modules()}
    export.write_graph(model, tmp_path, int8=False)
    for name, parameter in model.named_parameters():
        assert parameter.dtype == dtype
        assert parameter.data_ptr() == tensors[name][0]
        assert torch.equal(parameter, tensors[name][1])
    assert {name: module.training for name, module in model.named_modules()} == modes


@pytest.mark.usefixtures("no_exporter")
def test_a_model_of_the_hub_keeps_how_it_was_trained(
    single: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export.export(hub_cache(tmp_path, monkeypatch, {"main": single}), tmp_path / "out")
    assert (tmp_path / "out" / "train_config.yaml").read_bytes() == (single / "train_config.yaml").read_bytes()


@pytest.mark.usefixtures("no_exporter")
def test_a_graph_that_differs_is_not_left_behind(single: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "TOLERANCE", 0.0)
    with pytest.raises(EncT5Error, match=r"differ from the model's by .* more than 0; the model may be damaged"):
        export.export(str(single), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_exported_folder_serves_the_other_commands(single: Path, exported_single: Path, tmp_path: Path) -> None:
    out, file = str(exported_single), tmp_path / "texts.csv"
    file.write_text("text,label\nwhere is my parcel,delivery\nmoney back,refund\n", encoding="utf-8")
    assert run_command("predict", out, str(file), "-o", str(tmp_path / "p.csv"))[0] == 0
    assert run_command("predict", str(single), str(file), "-o", str(tmp_path / "q.csv"))[0] == 0
    labels = [
        [line.split(",")[2] for line in (tmp_path / name).read_text(encoding="utf-8").splitlines()]
        for name in ("p.csv", "q.csv")
    ]
    assert labels[0] == labels[1]
    assert run_command("evaluate", out, str(file))[0] == 0
    assert "exported to ONNX" in run_command("info", out)[1]


@pytest.mark.usefixtures("no_exporter")
def test_an_exported_model_is_replaced_when_the_new_one_is_complete(
    single: Path, exported_single: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(exported_single, out)
    wanted = (out / "model.onnx").read_bytes()
    (out / "model.onnx").write_bytes(b"former")
    assert run_command("export", "nowhere/at/all", str(out), "--overwrite")[0] == 2
    assert (out / "model.onnx").read_bytes() == b"former"
    status, _, error = run_command("export", str(single), str(single), "--overwrite")
    assert (status, "holds no exported model" in error) == (2, True)
    assert run_command("export", str(single), str(out), "--overwrite")[0] == 0
    assert (out / "model.onnx").read_bytes() == wanted
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_mistakes_are_one_line(single: Path, exported_single: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(exported_single, damaged)
    (damaged / "model.onnx").write_bytes((damaged / "model.onnx").read_bytes()[:5000])
    new = str(tmp_path / "new")
    for arguments, message in (
        (("export", str(single), str(exported_single)), "exists and is not empty; choose another folder"),
        (("export", str(single), new, "--format", "tflite"), "(given: `tflite`)"),
        (("export", "nowhere/at/all", new), "there is no folder nowhere/at/all"),
        (("explain", str(exported_single), "where is it"), "an exported model has no gradients to explain it by"),
        (("export", str(exported_single), new), "is an exported model; export the folder it was made from"),
        (("info", str(damaged)), "export the model again"),
        (("predict", str(single), "-", "--device", "moon"), "cannot use the device `moon`"),
        (("predict", str(single), "-", "--quantize", "int4"), "'int4' is not one of 'int8'"),
    ):
        status, _, error = run_command(*arguments)
        assert (status, error.count("\n")) == (2, 1), error
        assert message in error
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backend": "tensorrt"}, "backend"),
        ({"dtype": "int4"}, "dtype"),
        ({"quantize": "int4"}, "quantize"),
        ({"quantize": "int8", "device": "cuda"}, "ONNX Runtime runs on the CPU"),
        ({"quantize": "int8", "dtype": "bfloat16"}, "dtype is `bfloat16`, but an exported model"),
        ({"backend": "onnx"}, "cannot read an exported model at"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(single: Path, settings: dict[str, str], message: str) -> None:
    with pytest.raises(EncT5Error, match=message):
        Predictor.from_pretrained(single, **settings)


def test_missing_packages_are_named(single: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enct5.errors.is_installed", lambda package: package != "onnxscript")
    with pytest.raises(EncT5Error, match=r"needs onnxscript, which is not installed: pip install 'enct5\[onnx\]'"):
        export.export(str(single), tmp_path / "out")


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_the_dtype_is_that_asked_for(single: Path, dtype: str) -> None:
    predictor = Predictor.from_pretrained(single, dtype=dtype)
    assert str(predictor.model.dtype) == f"torch.{dtype}"
    exact = Predictor.from_pretrained(single).logits(sentences(10))
    np.testing.assert_allclose(predictor.logits(sentences(10)), exact, atol=0.3 if dtype == "bfloat16" else 0)
