"""An exported model, run by ONNX Runtime: neither torch nor transformers, the same logits."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from enct5.errors import EncT5Error, first_line, require
from enct5.export.exported_config import ExportedConfig
from enct5.files.hub_files import file_of
from enct5.model.folder import CONFIG, WEIGHTS
from enct5.model.sources import check_source
from enct5.tokenization.batches import MAX_BATCH_TOKENS, pad
from enct5.tokenization.shared_rows import by_row

GRAPH = "model.onnx"  # what an exported folder has instead of model.safetensors
DATA = f"{GRAPH}.data"  # the weights of a graph that is too large for one file


def is_exported(source: str, **hub: Any) -> bool:
    """Whether a folder or hub checkpoint (`revision`, `token`) holds an exported model and nothing else to run."""
    folder = Path(source)
    if folder.exists():
        return (folder / GRAPH).is_file() and not any(folder.glob("*.safetensors"))
    weights = (WEIGHTS, f"{WEIGHTS}.index.json")
    try:
        return not any(file_of(source, name, **hub) for name in weights) and file_of(source, GRAPH, **hub) is not None
    except OSError:  # no such repository or revision, which whoever loads the model tells
        return False


class OnnxEncT5:
    """A graph that `enct5 export` wrote, ready to be run on the CPU: an `Engine`, and the one form that it has.

    A pickled one carries the graph, and makes its session anew where it is unpickled.

    Args:
        graph: the file, with its weights beside it if they are too large for it.
        config: the configuration of the model it was made of.
        folder: the graph's, if it is to be kept as long as this only.

    Attributes:
        config: as given; an `ExportedConfig` of a folder, an `EncT5Config` of a model exported in memory.
        megabytes: size of the graph and its weights.
        threads: how many of the CPU it uses, as torch would: a program's setting of torch (`torch.set_num_threads`)
            where it has one when the model is loaded, else `OMP_NUM_THREADS`, else one for each core.

    Raises:
        EncT5Error: without onnxruntime, or for a damaged graph.
    """

    name, pads = "ONNX Runtime", True
    fold, compile = True, False  # a graph is the folded model
    device, dtype = "cpu", None

    def __init__(self, graph: Path, config: Any, folder: TemporaryDirectory[str] | None = None) -> None:
        require("onnxruntime", "runtime", "an exported model")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads = _threads()
        options.log_severity_level = 3  # its warnings are about the graph, which the user cannot change
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # it raises whatever the damage leads to
            raise EncT5Error(f"cannot load {graph}: {first_line(error)}; export the model again") from error
        self.config: Any = config
        self._takes_windows = config.encoder_window is not None
        self._graph, self._folder, self._files = graph, folder, _sizes_and_times(graph)
        self.megabytes = sum(size for size, _ in self._files.values()) / 1e6

    def __reduce__(self) -> tuple[Any, ...]:
        try:
            if _sizes_and_times(self._graph) == self._files:
                return _unpickled, ({file.name: file.read_bytes() for file in self._files}, self.config)
        except OSError:
            pass
        raise EncT5Error(f"{self._graph} is not what it was when it was loaded; load the model again to copy it")

    @classmethod
    def from_pretrained(cls, source: str, **hub: Any) -> "OnnxEncT5":
        """Load an exported model.

        Args:
            source: folder or hub id.
            hub: `revision` and `token` on the hub.

        Raises:
            EncT5Error: when it holds none, or a damaged one.
        """
        check_source(source, hub.get("revision"))
        try:
            graph, file = file_of(source, GRAPH, **hub), file_of(source, CONFIG, **hub)
            file_of(source, DATA, **hub)  # beside the graph; there is one of large models only
            if graph is None or file is None:
                raise ValueError(f"it has no {CONFIG if graph else GRAPH}; write one with `enct5 export`")
            config = ExportedConfig.read(file)
        except (OSError, ValueError) as error:
            raise EncT5Error(f"cannot read an exported model at {source}: {first_line(error)}") from error
        return cls(graph, config)

    @property
    def model(self) -> "OnnxEncT5":
        """The model is the graph."""
        return self

    def current(self) -> "OnnxEncT5":
        """A graph does not change."""
        return self

    def use_threads(self, count: int) -> None:
        """A session has its threads from the start, and batches that run beside each other share them."""

    def batch_tokens(self) -> int:
        """What suits a CPU."""
        return MAX_BATCH_TOKENS

    def is_fine_tuned(self) -> None:
        """A graph does not tell."""

    def damaged_weight(self) -> None:
        """A graph's weights are not looked at; its outputs tell."""

    def summary(self) -> str:
        """How large the graph is."""
        return f"EncT5, exported to ONNX, {self.megabytes:.1f} MB"

    def ways(self) -> dict[str, "OnnxEncT5"]:
        """The graph alone."""
        return {"onnx": self}

    def of_task(self, name: str) -> "OnnxTask":
        """The graph's outputs of the task."""
        return OnnxTask(self, name)

    def differentiable(self) -> NoReturn:
        """Refused: a graph has no gradients."""
        raise EncT5Error("an exported model has no gradients to explain it by; use the folder it was exported from")

    def logits(self, **inputs: npt.NDArray[np.int64]) -> Any:
        """Float32 logits of a padded batch, `(batch, num_labels)`; of tokens `(batch, length, num_labels)`.

        Of several tasks these by name.

        Args:
            inputs: `input_ids` `(batch, length)`; `attention_mask` likewise, 0 for padding; for a model that reads long
                texts in windows, of which the batch then consists, also `windows` `(texts, most windows)`: the rows
                that are the windows of each text, -1 where it has no more.

        Raises:
            EncT5Error: when the graph cannot be run, such as for want of memory.
        """
        outputs = self.outputs(None, inputs)
        return dict(zip(self.config.task_names, outputs, strict=True)) if self.config.tasks else outputs[0]

    def outputs(self, number: int | None, inputs: dict[str, npt.NDArray[np.int64]]) -> list[Any]:
        """What the graph gives for inputs, or the output of a number alone, without the work for the others.

        Raises:
            EncT5Error: when the graph cannot be run.
        """
        import onnxruntime

        options = onnxruntime.RunOptions()
        options.only_execute_path_to_fetches = number is not None
        wanted = None if number is None else [self._session.get_outputs()[number].name]
        try:
            return self._session.run(wanted, inputs, options)
        except Exception as error:  # onnxruntime's own classes
            raise EncT5Error(f"ONNX Runtime stopped: {first_line(error)}") from error

    def __call__(self, rows: Sequence[Any]) -> Sequence[Any]:
        """The logits of every row of token ids: `(num_labels,)`, or of tokens `(tokens or more, num_labels)`."""
        parts, inputs = self._windows(rows) if self._takes_windows else (rows, {})
        logits: Any = self.logits(**inputs, **pad(parts, int(self.config.pad_token_id or 0)))
        if not self.config.tasks:
            return logits
        return by_row({name: own if own.ndim == 2 else self._joined(own, rows) for name, own in logits.items()})

    def _joined(self, logits: npt.NDArray[np.float32], rows: Sequence[Any]) -> list[npt.NDArray[np.float32]]:
        """The logits of the tokens of every row, `(tokens, num_labels)`, given those of its padded windows."""
        lengths = [self.config.window_lengths(len(row)) for row in rows]
        windows = iter(logits)
        return [np.concatenate([next(windows)[:length] for length in own]) for own in lengths]

    def _windows(self, rows: Sequence[Any]) -> tuple[list[Any], dict[str, npt.NDArray[np.int64]]]:
        """The windows of rows of token ids, and which are whose, as `logits` takes it."""
        lengths = [self.config.window_lengths(len(row)) for row in rows]
        parts = [part for row, own in zip(rows, lengths, strict=True) for part in np.split(row, np.cumsum(own)[:-1])]
        counts = np.array([len(own) for own in lengths], dtype=np.int64)[:, None]
        number = np.arange(counts.max())
        return parts, {"windows": np.where(number < counts, np.cumsum(counts)[:, None] - counts + number, -1)}


class OnnxTask(OnnxEncT5):
    """One of several tasks of an exported model alone: an `Engine` that runs what the task needs of the graph.

    Args:
        whole: the model, whose session it shares.
        task: the task's name.
    """

    def __init__(self, whole: OnnxEncT5, task: str) -> None:
        self._whole, self._task = whole, task
        self._takes_windows = whole.config.encoder_window is not None  # also where the task alone reads none
        self.config = whole.config.of_task(task)
        self.megabytes, self.threads = whole.megabytes, whole.threads

    def __reduce__(self) -> tuple[Any, ...]:
        return OnnxTask, (self._whole, self._task)

    def logits(self, **inputs: npt.NDArray[np.int64]) -> Any:
        """The task's own, as `OnnxEncT5.logits` gives them by name."""
        (own,) = self._whole.outputs(self._whole.config.task_names.index(self._task), inputs)
        return own


def _threads() -> int:
    """How many threads torch would use; what is made of the CPU's cores beyond that is slower."""
    if (torch := sys.modules.get("torch")) is not None:  # a program may have told it
        return torch.get_num_threads()
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if told.isascii() and told.isdigit() and int(told):
        return int(told)
    places = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return len({_siblings(place) for place in places})


def _siblings(place: int) -> str:
    """The logical processors of one core, which do not compute any faster together; this one where nobody tells."""
    try:
        return Path(f"/sys/devices/system/cpu/cpu{place}/topology/thread_siblings_list").read_text(encoding="ascii")
    except OSError:
        return str(place)


def _sizes_and_times(graph: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of change of a graph's file, and of that of its weights where there is one."""
    found = [(file, file.stat()) for file in (graph, graph.with_name(DATA)) if file.exists()]
    return {file: (state.st_size, state.st_mtime_ns) for file, state in found}


def _unpickled(contents: dict[str, bytes], config: Any) -> OnnxEncT5:
    folder: TemporaryDirectory[str] = TemporaryDirectory(prefix="enct5-onnx-")
    for name, content in contents.items():
        (Path(folder.name) / name).write_bytes(content)
    return OnnxEncT5(Path(folder.name) / GRAPH, config, folder)
