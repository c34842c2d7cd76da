"""Graphs made by hand, which stand for exported models."""

from pathlib import Path
from typing import Any

import numpy as np

from enct5 import EncT5Config
from enct5.export.onnx_session import DATA, GRAPH


def write_graph(folder: Path, tokenizer: Any, external: bool) -> None:
    """A graph whose logits are the mean of an embedding of the tokens, and its folder."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    folder.mkdir(parents=True, exist_ok=True)
    table = np.random.default_rng(0).normal(size=(len(tokenizer), 3)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "input_ids"], ["states"]),
            helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["mask", "last"], ["wide"]),
            helper.make_node("Mul", ["states", "wide"], ["kept"]),
            helper.make_node("ReduceSum", ["kept", "middle"], ["logits"], keepdims=0),
        ],
        "mean",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "l"])
            for name in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", 3])],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.array([-1]), "last"),
            numpy_helper.from_array(np.array([1]), "middle"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save(model, folder / GRAPH, save_as_external_data=external, location=DATA)
    EncT5Config(vocab_size=len(tokenizer), num_labels=3).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
