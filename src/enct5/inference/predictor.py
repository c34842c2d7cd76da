"""Predict with a trained model: texts in, results out in the same order."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from enct5.data.in_memory import is_table
from enct5.data.lazy_columns import LazyColumns
from enct5.errors import EncT5Error, show, unknown
from enct5.files.hub_files import file_of
from enct5.inference import frames
from enct5.inference.engine import Engine
from enct5.inference.runner import Runner
from enct5.inference.runtime import Runtime
from enct5.inference.texts import Text, checked, items, texts_of
from enct5.model.folder import TRAIN_CONFIG
from enct5.model.sources import check_source
from enct5.model.trained_on import TrainedOn
from enct5.model.vocabularies import check_tokenizer
from enct5.tasks.base import best_labels, check_abstention, check_top_k, withhold
from enct5.tasks.multi_task import MultiTask
from enct5.tokenization.unread import Unread

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from enct5.explanations.explain import Explanation
    from enct5.model.modeling_enct5 import EncT5ForClassification
    from enct5.model.modeling_enct5_tasks import EncT5ForTasks

CHUNK_TEXTS = 4096  # texts held at a time, sorted by length among themselves


class Predictor(Runner):
    """A trained model with its tokenizer, ready for texts.

    Predictions are those of evaluation mode, of the weights that the model has when they are asked for, and change
    nothing in it: not its mode, its attention, nor the tokenizer's settings. So a `Predictor` may be

    - used by any number of threads, and from asyncio (`await asyncio.to_thread(predictor.predict, texts)`);
    - made of a model that is being trained, and asked between two steps (in a `TrainerCallback`, say). What another
      thread's optimiser is writing while texts are predicted is read half written, as by any forward pass;
    - pickled, copied, and given to processes that are started anew (`spawn`, joblib); ONNX Runtime's sessions are made
      again on the other side. A process that is forked after a prediction hangs if torch has several threads;
    - made of a model with hooks, pruned or parametrised layers or adapters, which then runs as it is.

    Attributes:
        engine: what runs the model, and knows what differs between models of torch and exported ones.
        tokenizer: its tokenizer: transformers', or that of an exported model, a `FastTokenizer`, which has what
            predictions ask of one. Texts longer than `tokenizer.model_max_length` tokens are cut, or read in
            overlapping windows by models that tag tokens.
        config: what the model was trained on, if its folder says so.
        batch_tokens: the most tokens of a batch, padding included, unless one text has more; None for what suits the
            device.
        unread: what of all texts so far the model did not read; with several threads some may not be counted.
        warns_of_unknown: whether a warning is to say, once, that much of the texts is unknown to the tokenizer: 5 % or
            more of a call's characters or texts, or of all so far, and at least 10 characters, as one `é` alone says
            little of the texts to come. False also afterwards.

    Raises:
        EncT5Error: for a `batch_tokens` below 1, or a tokenizer that gives ids beyond the model's embedding.
    """

    def __init__(
        self,
        model: "EncT5ForClassification | EncT5ForTasks | Engine",
        tokenizer: "PreTrainedTokenizerBase",
        config: TrainedOn | None = None,
        fold: bool = True,
        compile: bool = False,
        batch_tokens: int | None = None,
    ) -> None:
        if batch_tokens is not None and batch_tokens < 1:
            raise EncT5Error(f"`batch_tokens` (--batch-tokens) is {batch_tokens}; give a number from 1 on")
        check_tokenizer(tokenizer, model.config.vocab_size)
        if not isinstance(model, Engine):
            from enct5.inference.torch_engine import TorchEngine

            model = TorchEngine(model, fold, compile)
        self.engine: Engine = model
        self.tokenizer = tokenizer
        self.config, self.batch_tokens = config, batch_tokens
        self.unread, self.warns_of_unknown = Unread(), True

    @property
    def model(self) -> Any:
        """The model, or an exported one."""
        return self.engine.model

    @property
    def fold(self) -> bool:
        """Whether predictions come from the folded model (`enct5.folding`): the same logits but for rounding, faster.

        False also for a model that cannot be folded, which a warning says. It is folded anew when it has changed;
        `enct5.model.fingerprint.Fingerprint` says what is noticed.
        """
        return self.engine.fold

    @fold.setter
    def fold(self, fold: bool) -> None:
        self.engine.fold = fold

    @property
    def compile(self) -> bool:
        """Whether predictions come from the model compiled by torch.

        False also where that fails, which a warning says.
        """
        return self.engine.compile

    @compile.setter
    def compile(self, compile: bool) -> None:
        self.engine.compile = compile

    @classmethod
    def from_pretrained(  # noqa: PLR0913  # as transformers' own: settings by name
        cls,
        path: str | Path,
        device: str = "auto",
        fold: bool = True,
        backend: str = "auto",
        dtype: str = "auto",
        quantize: str | None = None,
        compile: bool = False,
        batch_tokens: int | None = None,
        revision: str | None = None,
        token: str | bool | None = None,
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
            compile: run the plain model compiled by torch in place of the folded one. Compiling takes a minute or so,
                and pays on GPUs if anywhere.
            batch_tokens: the most tokens of a batch; by default what suits the device.
            revision: branch, tag or commit on the hub.
            token: access token of the hub; True for the one that `hf auth login` keeps.

        Raises:
            EncT5Error: when there is no EncT5 model, or it is damaged; or for settings that do not go together.
        """
        source = str(path)
        runtime = Runtime(device, backend, dtype, quantize, fold, compile)
        check_source(source, revision)
        hub = {name: value for name, value in (("revision", revision), ("token", token)) if value is not None}
        engine, tokenizer = runtime.load(source, **hub)
        return cls(engine, tokenizer, _trained_with(source, **hub), batch_tokens=batch_tokens)

    @overload
    def predict(  # type: ignore[overload-overlap]  # a string is no list of texts
        self, texts: str, abstain_below: float | None = None, top_k: Literal[1] = 1
    ) -> dict[str, Any]: ...

    @overload
    def predict(
        self, texts: Iterable[Text], abstain_below: float | None = None, top_k: Literal[1] = 1
    ) -> list[dict[str, Any]]: ...

    @overload
    def predict(
        self,
        texts: Any,
        abstain_below: float | None = None,
        top_k: int | None = 1,
        *,
        all_scores: bool = False,
        text: str | Sequence[str] | None = None,
        as_frame: bool = False,
    ) -> Any: ...

    def predict(
        self,
        texts: Any,
        abstain_below: float | None = None,
        top_k: int | None = 1,
        *,
        all_scores: bool = False,
        text: str | Sequence[str] | None = None,
        as_frame: bool = False,
    ) -> Any:
        """Classify (or score) texts.

        Example:
            >>> predictor.predict(frame, text="message", as_frame=True, top_k=3)

        Args:
            texts: texts, or pairs `(A, B)`; for a model that tags tokens texts, or lists of words: a list, a generator,
                or a column (of pandas, polars, NumPy, Arrow, datasets). Or a table with columns of texts (of pandas,
                polars, Arrow, datasets, or a dictionary). Or one text. A tuple is a list of texts: one pair is
                `[(A, B)]`.
            abstain_below: give no label (`None`) where the score is lower (single-label only).
            top_k: with more than 1, or `None` for all, the result of a text is a list of its likeliest labels, as that
                of transformers' pipeline (single-label and multi-label only).
            all_scores: the same as `top_k=None`.
            text: text column of a table, or two for pairs; by default those of the training.
            as_frame: give a DataFrame of pandas, a row a text, with the index of `texts` where that is of pandas, so
                that it can be joined.

        Returns:
            One result a text, in their order, or that of the one text: `label` and `score`; `labels` and `scores`
            (multi-label); `value` (regression); or `entities` (tokens), each with `start`, `end`, `label`, `text` and
            `score`, where start and end count characters of a string or words of a list. With `top_k` a list of
            `label` and `score`, best first: the probabilities of labels that exclude each other (all of them add up to
            1), or of each label by itself (multi-label). A DataFrame has these as columns, and with `top_k` also
            `label_1`, `score_1`, `label_2`, ..., or, of all labels, `score_<label>`, as `enct5 predict` writes them.

        Raises:
            EncT5Error: for what are no texts, single texts where the model was trained on pairs (or the reverse), a
                model that cannot abstain, or one without probabilities of labels.
        """
        if all_scores:
            if top_k != 1:
                raise EncT5Error("`top_k` and `all_scores` do not go together; leave out one of them")
            top_k = None
        if top_k != 1 and abstain_below is not None and not as_frame:
            raise EncT5Error(
                "`abstain_below` and `top_k` do not go together: all scores are told, whether high or low; a DataFrame "
                "(`as_frame=True`) has both"
            )
        one = isinstance(texts, str)
        if text is not None and not is_table(texts):
            raise EncT5Error(f"`text` is {show(text)}, which names a column, but these are texts; leave it out")
        found = self.scored([texts] if one else self._texts_of(texts, text), abstain_below, top_k)
        if as_frame:
            labels = [self.engine.config.id2label[index] for index in range(self.engine.config.num_labels)]
            return frames.frame(found, self.task, labels, top_k, frames.index_of(texts))
        results = [record if top_k == 1 else best for record, best in found]
        return results[0] if one else results

    def stream(self, texts: Iterable[Text], abstain_below: float | None = None) -> Iterator[dict[str, Any]]:
        """Like `predict`, for texts that need not fit into memory together."""
        return (record for record, _ in self.scored(texts, abstain_below, 1))

    def _texts_of(self, texts: Any, text: str | Sequence[str] | None) -> Any:
        """The texts of a table; anything else as it is."""
        if text is None and self.config is not None:
            text = self.config.text
        if not text or not is_table(texts):
            return texts
        return texts_of(texts, [text] if isinstance(text, str) else text, self.task)

    def scored(
        self, texts: Iterable[Text], abstain_below: float | None = None, top_k: int | None = None
    ) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
        """Like `stream`, and beside each result the likeliest labels, as `predict` gives them.

        Where `top_k` is 1 the list is empty.
        """
        if abstain_below is not None:
            check_abstention(self.task, abstain_below)
        if top_k != 1:
            check_top_k(self.task, top_k)
        remaining = checked(self._texts_of(texts, None), self.task, self.config)
        while chunk := list(islice(remaining, CHUNK_TEXTS)):
            yield from self.decoded(self._logits(chunk), abstain_below, top_k)

    def decoded(
        self, logits: Any, abstain_below: float | None = None, top_k: int | None = None
    ) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
        """What `scored` gives for texts of these logits; what it refuses is to be refused before."""
        task, config = self.task, self.engine.config
        records = task.decode(logits, config.id2label, config.thresholds)
        if abstain_below is not None:
            records = [withhold(record, abstain_below) for record in records]
        best = [] if top_k == 1 else best_labels(task, logits, config.id2label, top_k)
        return list(zip(records, best or ([] for _ in records), strict=True))

    def of_task(self, name: str) -> "Predictor":
        """The same for one of several tasks alone: `rank`, `explain`, `top_k` and `abstain_below` are about one task.

        Raises:
            EncT5Error: for a model without such a task.
        """
        if not isinstance(task := self.task, MultiTask):
            raise EncT5Error(f"the model does one task, {task.description}, without a name; use it as it is")
        names = [part.name for part in task.parts]
        if name not in names:
            raise unknown("task", name, names)
        return Predictor(self.engine.of_task(name), self.tokenizer, self.config, batch_tokens=self.batch_tokens)

    def rank(
        self, query: str, documents: Iterable[str], label: str | None = None, top_k: int | None = None
    ) -> list[dict[str, Any]]:
        """Order documents by how well they match a query, by a model trained on pairs of such texts.

        Args:
            query: the first text of every pair.
            documents: the second texts: a list, a generator or a column.
            label: the label (or target) to rank by. Without it: the number of a regression; the expected grade where
                all labels are whole numbers; of two labels the one that says yes, if one does ("yes", "relevant", ...).
            top_k: how many to return; all by default.

        Returns:
            Records of `index` (place in `documents`), `document` and `score` (the number, the expected grade, or the
            label's probability), best first; documents of equal score keep their order.

        Raises:
            EncT5Error: for a model of single texts, or one that does not say what to rank by.
        """
        self.check_rank()
        if not isinstance(query, str) or isinstance(documents, str):
            raise EncT5Error(
                f"the query is {show(repr(query))} and the documents are {show(repr(documents))}; give one string, and "
                "a list of strings"
            )
        if top_k is not None and top_k < 1:
            raise EncT5Error(f"`top_k` is {top_k}; give a number from 1 on")
        documents = list(items(documents))  # once, by place: a generator has no second time, and a column other keys
        logits = self.logits([(query, document) for document in documents])
        scores = self.relevance(logits, label)
        order = np.argsort(-scores, kind="stable")[:top_k]
        return [{"index": int(i), "document": documents[i], "score": float(scores[i])} for i in order]

    def check_rank(self) -> None:
        """Refuse to rank by a model that does not compare texts.

        Raises:
            EncT5Error: for one of single texts, or of tokens.
        """
        if self.task.relevance is None:
            raise EncT5Error(f"this model does {self.task.description}; it cannot rank")
        if self.config is not None and self.config.takes_pairs is False:
            raise EncT5Error(
                f"the model was trained on single texts (column {show(self.config.text[0])}); to rank, train one on "
                "pairs: --text query,document"
            )

    def relevance(self, logits: Any, label: str | None = None) -> Any:
        """The numbers by which `rank` orders documents, `(pairs,)`, from the logits of pairs.

        Raises:
            EncT5Error: for a model that does not say what to rank by.
        """
        self.check_rank()
        assert self.task.relevance is not None
        return self.task.relevance(logits, self.engine.config.id2label, label)

    def logits(self, texts: Iterable[Text]) -> Any:
        """The model's raw outputs, float32 `(texts, num_labels)`, or a list of `TaggedText` (tokens).

        With several tasks they are a dictionary by task.
        """
        texts = self._texts_of(texts, None)
        if isinstance(texts, LazyColumns):  # which stays what it is
            deque(checked(texts, self.task, self.config), maxlen=0)
            return self._logits(texts)
        return self._logits(list(checked(texts, self.task, self.config)))

    def settings(self) -> dict[str, Any]:
        """How predictions are made on this machine.

        Returns:
            `form` (folded model, plain model, compiled model, ONNX Runtime), `device`, `dtype` (of torch's forms),
            `threads` of the CPU, and `batch_tokens`, the most tokens of a batch unless one text has more.
        """
        engine = self.engine
        settings = {
            "form": engine.current().name,
            "device": engine.device,
            "dtype": engine.dtype,
            "threads": engine.threads,
            "batch_tokens": self.most_tokens(),
        }
        return {name: value for name, value in settings.items() if value is not None}

    def explain(self, text: Text, label: str | None = None, task: str | None = None) -> "Explanation":
        """What each label's prompt attended to in a text, and what moved its logit; see `enct5.explanations.explain`.

        Args:
            text: a text, or a pair `(A, B)`.
            label: the label to explain; by default those that were predicted, or else the likeliest one.
            task: of a model of several tasks the one to explain.

        Raises:
            EncT5Error: for something else than a text or pair, or a label that the model does not know.
        """
        if task is not None:
            return self.of_task(task).explain(text, label)
        if isinstance(self.task, MultiTask):
            raise EncT5Error(f"this model does {self.task.description}; say which to explain: `task` (--task)")
        model = self.engine.differentiable()
        from enct5.explanations.explain import explain

        return explain(model, self.tokenizer, self.task, text, label, lambda: self.logits([text]))


def _trained_with(source: str, **hub: Any) -> TrainedOn | None:
    """What a checkpoint was trained on, if its folder says so."""
    file = file_of(source, TRAIN_CONFIG, **hub)
    return None if file is None else TrainedOn.read(file)
