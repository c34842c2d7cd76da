"""An exported model, run by ONNX Runtime: no torch module, the same logits."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig
from transformers.utils import cached_file

from enct5.batching import pad
from enct5.configuration_enct5 import EncT5Config
from enct5.errors import EncT5Error, require
from enct5.loading import first_line
from enct5.sources import check_source

GRAPH = "model.onnx"  # what an exported folder has instead of model.safetensors


def is_exported(source: str) -> bool:
    """Whether a folder holds an exported model and nothing else to run."""
    folder = Path(source)
    return (folder / GRAPH).is_file() and not any(folder.glob("*.safetensors"))


class OnnxEncT5:
    """A graph that `enct5 export` wrote, ready to be run on the CPU.

    Args:
        graph: the file.
        config: the configuration of the model it was made of.

    Attributes:
        config: as given.
        megabytes: size of the graph and its weights.
        form: what is run, in a few words.

    Raises:
        EncT5Error: without onnxruntime, or for a damaged graph.
    """

    form = "ONNX Runtime"

    def __init__(self, graph: Path, config: EncT5Config) -> None:
        require("onnxruntime", "onnx", "an exported model")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # its warnings are about the graph, which the user cannot change
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # it raises whatever the damage leads to
            raise EncT5Error(f"cannot load {graph}: {first_line(error)}; export the model again") from error
        self.config: Any = config
        self.megabytes = sum(file.stat().st_size for file in graph.parent.glob(f"{GRAPH}*")) / 1e6

    @classmethod
    def from_pretrained(cls, source: str) -> "OnnxEncT5":
        """Load an exported model.

        Args:
            source: folder or hub id.

        Raises:
            EncT5Error: when it holds none, or a damaged one.
        """
        check_source(source)
        try:
            graph, config = cached_file(source, GRAPH), AutoConfig.from_pretrained(source)
        except Exception as error:  # transformers raises whatever the damage leads to
            raise EncT5Error(f"cannot read an exported model at {source}: {first_line(error)}") from error
        if not isinstance(config, EncT5Config):
            raise EncT5Error(f"{source} is a checkpoint of type {config.model_type!r}, not an EncT5 model")
        return cls(Path(str(graph)), config)

    def logits(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        """Float32 logits of a padded batch, `(batch, num_labels)`; of tokens `(batch, length, num_labels)`.

        Args:
            input_ids: `(batch, length)`.
            attention_mask: likewise; 0 for padding.

        Raises:
            EncT5Error: when the graph cannot be run, such as for want of memory.
        """
        feed = {"input_ids": input_ids.numpy(), "attention_mask": attention_mask.numpy()}
        try:
            return self._session.run(None, feed)[0]
        except Exception as error:  # onnxruntime's own classes
            raise EncT5Error(f"ONNX Runtime stopped: {first_line(error)}") from error

    def __call__(self, rows: Sequence[Any]) -> Sequence[Any]:
        """The logits of every row of token ids: `(num_labels,)`, or of tokens `(tokens or more, num_labels)`."""
        logits: Any = np.asarray(self.logits(**pad(rows, int(self.config.pad_token_id or 0))))
        return logits
