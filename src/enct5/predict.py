"""Predict with a trained model: texts in, results out in the same order."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from enct5.batching import length_ordered_batches
from enct5.engines import CompiledEngine, Engine, FoldedEngine, PlainEngine
from enct5.errors import EncT5Error, show, unknown
from enct5.loading import file_of, first_line, load_model, load_tokenizer_of
from enct5.modeling_enct5 import EncT5ForClassification
from enct5.onnx_model import OnnxEncT5, is_exported
from enct5.sources import check_source
from enct5.tasks import Task, check_abstention, find_task, withhold
from enct5.tokenization import check_unicode
from enct5.training_config import TRAIN_CONFIG, TrainConfig

if TYPE_CHECKING:
    from enct5.explain import Explanation

logger = logging.getLogger(__name__)

MAX_BATCH_TOKENS = 2048  # larger batches are no faster on a CPU
MAX_BATCH_PROMPTS = 16384  # prompts of all texts of a batch: thousands of labels cost more than the texts' tokens
CHUNK_TEXTS = 4096  # texts held at a time, sorted by length among themselves
BACKENDS = ("auto", "torch", "onnx")
DTYPES = ("auto", "float32", "bfloat16", "float16")

Text = str | tuple[str, str] | list[str]


class Predictor:
    """A trained model with its tokenizer, ready for texts.

    Attributes:
        model: the model, in evaluation mode, or an exported one.
        tokenizer: its tokenizer; texts longer than `tokenizer.model_max_length` tokens are cut, or read in overlapping
            windows by models that tag tokens.
        task: what the model predicts.
        config: how the model was trained, if its folder says so.
        fold: whether predictions come from the model's inference form (`enct5.folding`), which gives the same logits
            but for rounding, faster; False also for a model that has none, which a warning says.
        compile: whether predictions come from the model compiled by torch; False also where that fails, which a warning
            says.
    """

    def __init__(
        self,
        model: EncT5ForClassification | OnnxEncT5,
        tokenizer: PreTrainedTokenizerBase,
        config: TrainConfig | None = None,
        fold: bool = True,
        compile: bool = False,
    ) -> None:
        self.model = model if isinstance(model, OnnxEncT5) else model.eval()
        self.tokenizer = tokenizer
        self.task: Task = find_task(str(model.config.problem_type))
        self.config = config
        self.fold, self.compile = fold, compile
        self._folded: FoldedEngine | None = None
        self._compiled: CompiledEngine | None = None

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        device: str = "auto",
        fold: bool = True,
        backend: str = "auto",
        dtype: str = "auto",
        quantize: str | None = None,
        compile: bool = False,
    ) -> "Predictor":
        """Load a run folder, another EncT5 checkpoint, an exported model, or one from the hub.

        Args:
            path: folder or hub id.
            device: `auto` takes a GPU if there is one.
            fold: False to predict with the plain model, which needs less memory.
            backend: `torch`, `onnx` for a model that `enct5 export` wrote, `auto` for the one that a folder has.
            dtype: of weights and arithmetic: `float32`, `bfloat16`, `float16`; `auto` is float32 on a CPU and what the
                checkpoint holds elsewhere.
            quantize: `int8` for matrix products of 8-bit numbers by ONNX Runtime on the CPU: faster, approximate.
            compile: run the plain model compiled by torch in place of the inference form. Compiling takes a minute or
                so, and pays on GPUs if anywhere.

        Raises:
            EncT5Error: when there is no EncT5 model, or it is damaged; or for settings that do not go together.
        """
        source = str(path)
        for name, value, known in (("backend", backend, BACKENDS), ("dtype", dtype, DTYPES)):
            if value not in known:
                raise unknown(name, value, known)
        if quantize not in (None, "int8"):
            raise unknown("quantize", str(quantize), ["int8"])
        check_source(source)
        exported = backend == "onnx" or (backend == "auto" and is_exported(source))
        if exported or quantize:
            _check_onnx(device, dtype, compile, quantize if exported else None)
        if exported:
            graph = OnnxEncT5.from_pretrained(source)
            return cls(graph, load_tokenizer_of(source, graph.config.vocab_size), _trained_with(source))
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        model = load_model(source, "float32" if dtype == "auto" and device == "cpu" else dtype)
        tokenizer = load_tokenizer_of(source, model.config.vocab_size)
        if quantize:
            from enct5.export import in_memory

            return cls(in_memory(model, int8=True), tokenizer, _trained_with(source))
        return cls(_placed(model, device), tokenizer, _trained_with(source), fold, compile)

    def predict(self, texts: Sequence[Text], abstain_below: float | None = None) -> list[dict[str, Any]]:
        """Classify (or score) texts.

        Args:
            texts: texts, or pairs `(A, B)`; for a model that tags tokens texts, or lists of words.
            abstain_below: give no label (`None`) where the score is lower (single-label only).

        Returns:
            One result a text, in their order: `label` and `score`; `labels` and `scores` (multi-label); `value`
            (regression); or `entities` (tokens), each with `start`, `end`, `label`, `text` and `score`, where start and
            end count characters of a string or words of a list.

        Raises:
            EncT5Error: for what are no texts, or a model that cannot abstain.
        """
        return list(self.stream(texts, abstain_below))

    def stream(self, texts: Iterable[Text], abstain_below: float | None = None) -> Iterator[dict[str, Any]]:
        """Like `predict`, for texts that need not fit into memory together."""
        if abstain_below is not None:
            check_abstention(self.task, abstain_below)
        remaining, config = _checked(texts, self.task), self.model.config
        while chunk := list(islice(remaining, CHUNK_TEXTS)):
            records = self.task.decode(self._logits(chunk), config.id2label, config.thresholds)
            yield from records if abstain_below is None else (withhold(record, abstain_below) for record in records)

    def rank(
        self, query: str, documents: Sequence[str], label: str | None = None, top_k: int | None = None
    ) -> list[dict[str, Any]]:
        """Order documents by how well they match a query, by a model trained on pairs of such texts.

        Args:
            query: the first text of every pair.
            documents: the second texts.
            label: the label (or target) to rank by. Without it: the number of a regression; the expected grade where
                all labels are whole numbers; of two labels the one that says yes, if one does ("yes", "relevant", ...).
            top_k: how many to return; all by default.

        Returns:
            Records of `index` (place in `documents`), `document` and `score` (the number, the expected grade, or the
            label's probability), best first; documents of equal score keep their order.

        Raises:
            EncT5Error: for a model of single texts, or one that does not say what to rank by.
        """
        if self.task.relevance is None:
            raise EncT5Error(f"this model does {self.task.description}; it cannot rank")
        if self.config is not None and len(self.config.text) == 1:
            raise EncT5Error(
                f"the model was trained on single texts (column {show(self.config.text[0])}); to rank, train one on "
                "pairs: --text query,document"
            )
        if not isinstance(query, str) or isinstance(documents, str):
            raise EncT5Error(
                f"the query is {show(repr(query))} and the documents are {show(repr(documents))}; give one string, and "
                "a list of strings"
            )
        if top_k is not None and top_k < 1:
            raise EncT5Error(f"`top_k` is {top_k}; give a number from 1 on")
        logits = self.logits([(query, document) for document in documents])
        scores = self.task.relevance(logits, self.model.config.id2label, label)
        order = np.argsort(-scores, kind="stable")[:top_k]
        return [{"index": int(i), "document": documents[i], "score": float(scores[i])} for i in order]

    def logits(self, texts: Sequence[Text]) -> Any:
        """The model's raw outputs, float32 `(texts, num_labels)`, or a list of `TaggedText` (tokens)."""
        return self._logits(list(_checked(texts, self.task)))

    @torch.inference_mode()
    def settings(self) -> dict[str, Any]:
        """How predictions are made on this machine.

        Returns:
            `form` (inference form, plain model, compiled model, ONNX Runtime), `device`, `dtype` (of torch's forms),
            `threads` of the CPU, and `batch_tokens`, the most tokens of a batch unless one text has more.
        """
        settings = {"form": self._engine().form, "device": "cpu"}
        if not isinstance(self.model, OnnxEncT5):
            settings |= {"device": str(self.model.device), "dtype": str(self.model.dtype).removeprefix("torch.")}
        return {**settings, "threads": torch.get_num_threads(), "batch_tokens": MAX_BATCH_TOKENS}

    def explain(self, text: Text, label: str | None = None) -> "Explanation":
        """What each label's prompt attended to in a text, and what moved its logit; see `enct5.explain.explain`.

        Args:
            text: a text, or a pair `(A, B)`.
            label: the label to explain; by default those that were predicted, or else the likeliest one.

        Raises:
            EncT5Error: for something else than a text or pair, or a label that the model does not know.
        """
        from enct5.explain import explain

        return explain(self, text, label)

    @torch.inference_mode()
    def _logits(self, texts: list[Any]) -> Any:
        config = self.model.config
        inputs = self.task.inputs(texts, self.tokenizer, self.tokenizer.model_max_length)
        result = inputs.room(config.num_labels)
        engine = self._engine() if inputs.rows else None
        most_rows = max(1, MAX_BATCH_PROMPTS // (config.decoder_vocab_size or 1))
        for batch in length_ordered_batches([len(row) for row in inputs.rows], MAX_BATCH_TOKENS, most_rows):
            assert engine is not None
            outputs = engine([inputs.rows[index] for index in batch])
            for index, logits in zip(batch, outputs, strict=True):
                if not np.isfinite(logits).all():
                    raise self._no_numbers()
                result[index] = logits
        return inputs.outputs(result, config.num_labels)

    def _no_numbers(self) -> EncT5Error:
        said = "the model's outputs are no numbers; `enct5 info` tells whether its weights are damaged"
        if not isinstance(self.model, OnnxEncT5) and self.model.dtype == torch.float16:
            said += "; or they leave the range of float16: choose another dtype"
        return EncT5Error(said)

    def _engine(self) -> Engine:
        """What runs the model; its inference form is made anew where the weights have changed since."""
        if isinstance(self.model, OnnxEncT5):
            return self.model
        pad_token_id = int(self.tokenizer.pad_token_id)
        if self.compile and self._compiled is None:
            try:
                self._compiled = CompiledEngine(self.model, pad_token_id)
            except Exception as error:  # compilers raise whatever they stumble over
                logger.warning("predicting with a model that is not compiled: %s", first_line(error))
                self.compile = False
        if self.compile and self._compiled is not None:
            return self._compiled
        if self.fold and (self._folded is None or not self._folded.is_current()):
            try:
                self._folded = FoldedEngine(self.model)
            except ValueError as error:
                logger.warning("predicting with the plain model, which is slower: %s", error)
                self.fold = False
        if self.fold and self._folded is not None:
            return self._folded
        return PlainEngine(self.model, pad_token_id)


def _trained_with(source: str) -> TrainConfig | None:
    """The settings of the run that a checkpoint is of, if it says them."""
    file = file_of(source, TRAIN_CONFIG)
    return None if file is None else TrainConfig.read(file)


def _placed(model: EncT5ForClassification, device: str) -> EncT5ForClassification:
    """The model on its device."""
    try:
        return cast(Any, model).to(device)  # `to` of transformers' models is typed as that of one without arguments
    except (RuntimeError, AssertionError) as error:  # no such device, or none of its kind here
        raise EncT5Error(f"cannot use the device {show(device)}: {first_line(error)}") from error


def _check_onnx(device: str, dtype: str, compile: bool, quantize: str | None) -> None:
    """Refuse settings that ONNX Runtime on the CPU does not have."""
    if device not in ("auto", "cpu"):
        raise EncT5Error(f"device is {show(device)}, but ONNX Runtime runs on the CPU here; leave it out")
    if dtype not in ("auto", "float32"):
        raise EncT5Error(f"dtype is {show(dtype)}, but an exported model has the numbers it was exported with")
    if compile:
        raise EncT5Error("compile is True, but torch does not run the model where ONNX Runtime does; leave it out")
    if quantize is not None:
        raise EncT5Error("the model is exported already; quantise it when you export it: enct5 export --int8")


def _checked(texts: Iterable[Text], task: Task) -> Iterator[Text]:
    """The texts, one by one, as long as the task takes them and they are all of one kind."""
    if isinstance(texts, str):
        raise EncT5Error(f"{show(texts)} is one text; give a list of texts")
    first_is_plain: bool | None = None
    for number, text in enumerate(texts, start=1):
        plain = task.inputs.is_plain(text)
        if plain is None:
            raise EncT5Error(f"text {number} is {show(repr(text))}; give {task.inputs.accepts}")
        if first_is_plain not in (None, plain):
            raise EncT5Error(f"text {number}: texts and {task.inputs.other_kind} are mixed; give one kind at a time")
        first_is_plain = plain
        for part in [text] if isinstance(text, str) else text:
            check_unicode(part, number)
        yield text
