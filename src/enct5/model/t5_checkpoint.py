"""The tensors of a T5 checkpoint's safetensors files, a slice at a time."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers.utils import cached_file

from enct5.errors import EncT5Error, first_line
from enct5.files.hub_names import on_hub
from enct5.model.folder import WEIGHTS

WEIGHTS_INDEX = "model.safetensors.index.json"
SLICE_BYTES = 8 * 2**20
DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


@dataclass
class T5Checkpoint:
    """The tensors of a folder's or hub repository's safetensors files; files are fetched when first read."""

    base: str
    hub: dict[str, Any]
    names: dict[str, str] = field(default_factory=dict)  # tensor -> file name
    stored: dict[str, str] = field(default_factory=dict)  # tensor -> its name in the file

    def __post_init__(self) -> None:
        if file := self._locate(WEIGHTS, required=False):  # before the index, as transformers looks for them
            with self._open(file) as opened:
                self.names = dict.fromkeys(opened.keys(), WEIGHTS)
        elif index := self._locate(WEIGHTS_INDEX, required=False):
            try:
                self.names = dict(json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"])
            except (ValueError, KeyError, TypeError) as error:
                raise EncT5Error(f"{index} is damaged ({error}); download the checkpoint again") from error
        else:
            raise EncT5Error(
                f"{self.base} holds no {WEIGHTS}; enct5 reads safetensors only. Convert it once where you trust it: "
                "T5ForConditionalGeneration.from_pretrained(...).save_pretrained(...)"
            )
        # `T5ForSequenceClassification` and its kin keep their T5 under a prefix.
        self.stored = {name.removeprefix("transformer."): name for name in self.names}

    def _locate(self, name: str, required: bool = True) -> str | None:
        repository, places = on_hub(self.base, **self.hub)
        try:
            path = cached_file(
                repository,
                name,
                _raise_exceptions_for_missing_entries=False,
                _raise_exceptions_for_connection_errors=required,
                **places,
            )
        except OSError as error:
            raise EncT5Error(f"cannot read {name} of {self.base}: {first_line(error)}") from error
        if path is None and required:
            raise EncT5Error(f"{self.base} lacks {name}, which {WEIGHTS_INDEX} names; download the checkpoint again")
        return path

    def _open(self, path: str) -> Any:
        try:
            return safe_open(path, framework="pt")
        except (SafetensorError, OSError) as error:
            raise EncT5Error(
                f"{path} is damaged or incomplete ({error}); download or save the checkpoint again"
            ) from error

    def slices(self, tensor: str, shape: torch.Size) -> Iterator[tuple[slice, torch.Tensor]]:
        """Rows of a tensor, `SLICE_BYTES` at a time, so that a large tensor is never held twice."""
        name = self.names[self.stored[tensor]]
        path = self._locate(name)
        rows = max(1, SLICE_BYTES // max(1, 4 * shape.numel() // shape[0]))
        for start in range(0, shape[0], rows):
            # Opened for each slice: the pages of a mapped file count as memory in use until it is closed.
            with self._open(str(path)) as file:
                try:
                    view = file.get_slice(self.stored[tensor])
                except SafetensorError as error:
                    raise EncT5Error(f"{path} lacks {self.stored[tensor]}, which {WEIGHTS_INDEX} names") from error
                if tuple(view.get_shape()) != tuple(shape):
                    raise EncT5Error(
                        f"{path}: {self.stored[tensor]} has shape {tuple(view.get_shape())}, but config.json asks for "
                        f"{tuple(shape)}; weights and config.json do not belong together"
                    )
                window = slice(start, min(start + rows, shape[0]))
                yield window, view[window]

    def dtype(self, tensor: str) -> torch.dtype:
        """The dtype in which the file stores a tensor.

        Raises:
            EncT5Error: when it is none of `DTYPES`, but numbers that have to be multiplied by something.
        """
        name = self.stored[tensor]
        path = str(self._locate(self.names[name]))
        with self._open(path) as file:
            try:
                stored = file.get_slice(name).get_dtype()
            except SafetensorError as error:
                raise EncT5Error(f"{path} lacks {name}, which {WEIGHTS_INDEX} names") from error
        if stored not in DTYPES:
            raise EncT5Error(
                f"{self.base}: {name} is stored as {stored}, so the checkpoint is quantised; "
                "take the original, or save it dequantised, such as in bfloat16"
            )
        return DTYPES[stored]
