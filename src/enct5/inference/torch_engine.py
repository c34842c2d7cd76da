"""A model of torch that runs: folded, compiled, or as it is."""

import copy
import logging
import threading
from typing import Any

import torch

from enct5.errors import EncT5Error, first_line, is_installed
from enct5.inference.engine import Form
from enct5.inference.forms import CompiledForm, FoldedForm, PlainForm
from enct5.model.modeling_enct5 import EncT5ForClassification
from enct5.model.modeling_enct5_tasks import EncT5ForTasks
from enct5.tokenization.batches import MAX_BATCH_TOKENS

logger = logging.getLogger(__name__)

MAX_BATCH_TOKENS_OF_A_GPU = 32768
STATES_OF_A_TOKEN = 16  # that are in memory together, at most


class TorchEngine:
    """An `Engine` of a model of torch.

    Args:
        model: the model, which may change.
        fold: whether to run it folded.
        compile: whether to run it compiled instead.

    Attributes:
        model: as given.
        fold: as given; False also where it cannot be folded, which a warning says.
        compile: as given; False also where compiling fails, which a warning says.
    """

    def __init__(self, model: EncT5ForClassification | EncT5ForTasks, fold: bool = True, compile: bool = False) -> None:
        self.model: Any = model  # Any: of a T5's configuration, fields of EncT5's are asked for
        self.fold, self.compile = fold, compile
        self._forget()

    def _forget(self) -> None:
        self._form: PlainForm | FoldedForm | None = None
        self._making = threading.Lock()  # of forms

    def __getstate__(self) -> dict[str, Any]:
        made = {"_form", "_making"}  # what can be made again, and a lock
        return {name: value for name, value in self.__dict__.items() if name not in made}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    @property
    def config(self) -> Any:
        """The model's configuration."""
        return self.model.config

    @property
    def device(self) -> str:
        """Where the model is."""
        return str(self.model.device)

    @property
    def dtype(self) -> str:
        """The numbers of its weights."""
        return str(self.model.dtype).removeprefix("torch.")

    @property
    def threads(self) -> int:
        """Torch's."""
        return torch.get_num_threads()

    def use_threads(self, count: int) -> None:
        """Torch keeps a number for every thread that calls it."""
        if count != torch.get_num_threads():
            torch.set_num_threads(count)

    @torch.inference_mode()
    def current(self) -> Form:
        """What runs the model as it is now."""
        with self._making:  # once, however many threads ask for it
            kind = CompiledForm if self.compile else FoldedForm if self.fold else PlainForm
            form = self._form
            if form is None or type(form) is not kind or not form.is_current():
                form = self._form = None  # before another takes memory
                form = self._form = self._made()
            return form

    def _made(self) -> PlainForm | FoldedForm:
        if self.compile:
            try:
                return CompiledForm(self.model)
            except Exception as error:  # compilers raise whatever they stumble over
                logger.warning("predicting with a model that is not compiled: %s", first_line(error))
                self.compile = False
        if self.fold:
            try:
                return FoldedForm(self.model)
            except ValueError as error:
                logger.warning("predicting with the plain model, which is slower: %s", error)
                self.fold = False
        return PlainForm(self.model)

    def batch_tokens(self) -> int:
        """More on a GPU, as far as its free memory goes."""
        if self.model.device.type != "cuda":
            return MAX_BATCH_TOKENS
        config, number = self.config, self.model.dtype.itemsize
        free, _ = torch.cuda.mem_get_info(self.model.device)
        a_token = STATES_OF_A_TOKEN * max(config.d_model, config.num_heads * config.d_kv) * number
        return max(MAX_BATCH_TOKENS, min(MAX_BATCH_TOKENS_OF_A_GPU, free // 4 // a_token))

    def is_fine_tuned(self) -> bool:
        """Whether the model's head was ever trained."""
        return self.model.is_fine_tuned()

    def damaged_weight(self) -> str | None:
        """The first parameter that holds NaN or infinite values."""
        damaged = (name for name, parameter in self.model.named_parameters() if not parameter.isfinite().all())
        return next(damaged, None)

    def summary(self) -> str:
        """How many parameters, and of which numbers."""
        return f"EncT5, {self.model.num_parameters() / 1e6:.1f}M parameters, {self.dtype}"

    def ways(self) -> dict[str, Form]:
        """The plain model, the folded one, that in bfloat16, and on a CPU what it can be exported to.

        Raises:
            EncT5Error: for a model that cannot be folded.
        """
        ways: dict[str, Form] = {"plain": PlainForm(self.model)}
        try:
            ways["folded (default)"] = FoldedForm(self.model)
        except ValueError as error:
            raise EncT5Error(f"the model cannot be folded: {error}; there is nothing to compare") from error
        if self.model.dtype == torch.float32:
            ways["folded bfloat16"] = FoldedForm(copy.deepcopy(self.model).to(torch.bfloat16))
        if self.model.device.type == "cpu" and all(map(is_installed, ("onnx", "onnxscript", "onnxruntime"))):
            from enct5.export.onnx import in_memory

            try:
                ways |= {"onnx": in_memory(self.model, int8=False), "onnx int8": in_memory(self.model, int8=True)}
            except EncT5Error as error:
                logger.warning("%s; measured without ONNX Runtime", error)
        return ways

    def of_task(self, name: str) -> "TorchEngine":
        """The model of the task, whose modules are this one's."""
        return TorchEngine(self.model.task_model(name), self.fold, self.compile)

    def differentiable(self) -> Any:
        """The model."""
        return self.model
