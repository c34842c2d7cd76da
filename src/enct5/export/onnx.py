"""Write a trained model as an ONNX graph that gives the same logits without torch.

The graph is the folded model (`enct5.folding`) on padded batches. It is compared with the model on several shapes
before it gets its name.
"""

import copy
import logging
import shutil
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, cast

import numpy as np
import torch

from enct5.errors import EncT5Error, require
from enct5.export.onnx_session import DATA, GRAPH, OnnxEncT5, is_exported
from enct5.export.padded import ExportableEncT5
from enct5.files.hub_files import file_of
from enct5.files.writing import atomic_folder, disk_full_as_error, refuse_occupied
from enct5.folding.model import FoldedEncT5, check_foldable
from enct5.folding.tasks import FoldedTasks
from enct5.model.configuration_enct5 import EncT5Config
from enct5.model.folder import TRAIN_CONFIG
from enct5.model.loading import load_model, load_tokenizer
from enct5.model.modeling_enct5 import EncT5ForClassification
from enct5.model.modeling_enct5_tasks import EncT5ForTasks
from enct5.model.replica import evaluating
from enct5.model.vocabularies import check_tokenizer

OPSET = 20
SHAPES = ((1, 1), (1, 16), (5, 33), (2, 300))  # texts and tokens of the batches that are compared
LONGEST_WINDOW = 100  # of these batches, so that there are texts of several
# The largest difference allowed, as a share of the largest logit (of 1 where all are smaller). Of int8 the mean: single
# logits of texts without sense, as these are, may be far off where a trained model's decisions stay.
TOLERANCE, INT8_TOLERANCE = 1e-4, 0.1
_LARGEST_FILE = 2**31 - 2**24  # bytes: more than a protocol buffer takes lies beside the graph


Model = EncT5ForClassification | EncT5ForTasks


class Exported(NamedTuple):
    """What an export was found to be.

    Attributes:
        difference: Largest difference of its logits from the model's, over their largest or 1.
        mean_difference: The mean difference likewise.
        megabytes: Size of the graph and its weights.
    """

    difference: float
    mean_difference: float
    megabytes: float


def export(
    source: str, out: Path, int8: bool = False, revision: str | None = None, token: str | bool | None = None
) -> Exported:
    """Write a model's graph, configuration and tokenizer into a folder that `Predictor` takes like any other.

    Args:
        source: folder or hub id of an EncT5 checkpoint.
        out: folder to create; appears whole or not at all.
        int8: store and multiply the matrices in 8 bits (inputs quantised as they come), which is faster and smaller,
            and approximate.
        revision: branch, tag or commit on the hub.
        token: access token of the hub; by default that of `hf auth login` or `HF_TOKEN`.

    Raises:
        EncT5Error: without the packages, for an `out` that holds files, a model that cannot be folded, or logits that
            differ from the model's beyond tolerance.
    """
    refuse_occupied(out)
    hub: dict[str, Any] = {"revision": revision, "token": token}
    if is_exported(source, **hub):
        raise EncT5Error(f"{source} is an exported model; export the folder it was made from")
    model, tokenizer = load_model(source, "float32", **hub), load_tokenizer(source, **hub)
    check_tokenizer(tokenizer, model.config.vocab_size)
    with disk_full_as_error(out, "make room"), atomic_folder(out) as folder:
        result = write_graph(model, folder, int8)
        model.config.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        if trained_with := file_of(source, TRAIN_CONFIG, **hub):
            (folder / TRAIN_CONFIG).write_bytes(trained_with.read_bytes())
    return result


def in_memory(model: Model, int8: bool) -> OnnxEncT5:
    """A model as `export` would write it, without a folder.

    Raises:
        EncT5Error: as `export`.
    """
    folder: TemporaryDirectory[str] = TemporaryDirectory(prefix="enct5-onnx-")  # gone when the model is
    write_graph(model, Path(folder.name), int8)
    return OnnxEncT5(Path(folder.name) / GRAPH, cast(EncT5Config, model.config), folder)


def write_graph(model: Model, folder: Path, int8: bool) -> Exported:
    """Write the graph of a model, and compare it with the model, which stays as it is: its mode, dtype and place, too.

    Raises:
        EncT5Error: as `export`.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        require(package, "onnx", "export to ONNX")
    try:
        check_foldable(model)
        model = _in_float32(model)
        folded = FoldedTasks(model) if isinstance(model, EncT5ForTasks) else FoldedEncT5(model)
        graph = ExportableEncT5(folded).eval()
    except ValueError as error:
        raise EncT5Error(f"the model cannot be exported: {error}") from error
    window = model.config.encoder_window
    _write_float32(graph, folder / GRAPH)
    if int8:
        _quantize(folder / GRAPH)
    if window is not None:  # the graph does not know how long they are: shorter ones are compared in less time
        model.config.encoder_window = min(window, LONGEST_WINDOW)
    result = _compare(model, OnnxEncT5(folder / GRAPH, cast(EncT5Config, model.config)))
    found, allowed = (result.mean_difference, INT8_TOLERANCE) if int8 else (result.difference, TOLERANCE)
    if not found <= allowed:  # which NaN is not, either
        raise EncT5Error(
            f"the exported graph's logits differ from the model's by {found:.2g} of their size, which is more than "
            f"{allowed:g}; " + ("export it without --int8" if int8 else "the model may be damaged (see `enct5 info`)")
        )
    return result


def _in_float32(model: Model) -> Model:
    """A model to be exported in evaluation mode and, as T5 overflows in float16, in float32; on the CPU."""
    if all(tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in model.parameters()):
        return evaluating(model)
    return copy.deepcopy(model).float().cpu().eval()


def _write_float32(graph: ExportableEncT5, file: Path) -> None:
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    # two tensors: the exporter takes one that is given twice for one input
    input_ids, attention_mask = torch.zeros(2, 8, dtype=torch.long), torch.ones(2, 8, dtype=torch.long)
    axes = {0: "batch", 1: "length"}
    inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
    shapes = {"input_ids": axes, "attention_mask": axes}
    if graph.config.encoder_window is not None:
        inputs["windows"] = torch.tensor([[0, 1], [1, -1], [0, -1]])
        shapes["windows"] = {0: "texts", 1: "most_windows"}
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)  # it warns of packages that the graph does not need
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                graph,
                tuple(inputs.values()),
                dynamo=True,
                opset_version=OPSET,
                input_names=list(inputs),
                output_names=graph.outputs,
                dynamic_shapes=shapes,
                verbose=False,
            )
    finally:
        exporter.setLevel(level)
    assert program is not None
    ClearMetadataAndDocStringPass()(program.model)  # which say where on this machine the code lies
    weights = {buffer.data_ptr(): buffer.nbytes for buffer in graph.buffers()}
    program.save(file, external_data=sum(weights.values()) > _LARGEST_FILE)


def _quantize(file: Path) -> None:
    """Replace a graph by one whose matrix products are those of 8-bit numbers."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    made = file.with_name("int8")
    made.mkdir()
    prepared, result = made / "prepared.onnx", made / GRAPH  # weights beside a graph are named after it
    large = file.with_name(DATA).exists()
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        quant_pre_process(file, prepared, skip_symbolic_shape=True, skip_onnx_shape=large, save_as_external_data=large)
        model = onnx.load(prepared, load_external_data=False)
        constants = {constant.name: len(constant.dims) for constant in model.graph.initializer}
        by_head = {name for name, dimensions in constants.items() if dimensions > 2}
        # Constants' shapes are said twice, and older releases of ONNX Runtime transpose a constant without the second.
        for shape in [shape for shape in model.graph.value_info if shape.name in constants]:
            model.graph.value_info.remove(shape)
        onnx.save(model, prepared)
        quantize_dynamic(
            prepared,
            result,
            # one matrix a head is small, and no product of 8 bits takes it
            nodes_to_exclude=[node.name for node in model.graph.node if by_head & set(node.input)],
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            reduce_range=True,  # 7 bits of weights: two products of 8 bits overflow where the CPU has no VNNI
            weight_type=QuantType.QInt8,
            use_external_data_format=large,
        )
    finally:
        root.setLevel(level)
    for part in made.glob(f"{GRAPH}*"):
        part.replace(file.with_name(part.name))
    shutil.rmtree(made)


@torch.inference_mode()
def _compare(model: Model, exported: OnnxEncT5) -> Exported:
    random = np.random.default_rng(0)
    differences, largest = [], 1.0
    for texts, tokens in SHAPES:
        input_ids = torch.from_numpy(random.integers(2, model.config.vocab_size, (texts, tokens)))
        lengths = random.integers(1, tokens + 1, texts)
        lengths[0] = tokens
        mask = (torch.arange(tokens) < torch.from_numpy(lengths)[:, None]).long()
        wanted = model(input_ids=input_ids, attention_mask=mask).logits
        found = exported([row[:length].numpy() for row, length in zip(input_ids, lengths, strict=True)])
        for row, got in enumerate(found):
            right = {name: own[row] for name, own in wanted.items()} if isinstance(wanted, dict) else {"": wanted[row]}
            for name, logits in (got if isinstance(got, dict) else {"": got}).items():
                # tags of padding mean nothing
                ours, theirs = (own if own.ndim == 1 else own[: lengths[row]] for own in (right[name].numpy(), logits))
                differences.append(np.abs(ours - theirs).ravel())
                largest = max(largest, float(np.abs(ours).max()))
    together: Any = np.concatenate(differences) / largest
    return Exported(float(together.max()), float(together.mean()), exported.megabytes)
