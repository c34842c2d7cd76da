"""Where a model runs and in which numbers: the settings, held against each other, and the model loaded by them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from enct5.errors import EncT5Error, first_line, show, unknown
from enct5.export.onnx_session import OnnxEncT5, is_exported
from enct5.export.tokenizer import tokenizer_of
from enct5.extras import need
from enct5.inference.engine import Engine

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from enct5.model.modeling_enct5 import EncT5ForClassification

_BACKENDS = ("auto", "torch", "onnx")
_DTYPES = ("auto", "float32", "bfloat16", "float16")
_QUANTIZATIONS = (None, "int8")


@dataclass(frozen=True)
class Runtime:
    """Settings of `Predictor.from_pretrained`, as it describes them.

    Raises:
        EncT5Error: for names that are not known.
    """

    device: str
    backend: str
    dtype: str
    quantize: str | None
    fold: bool
    compile: bool

    def __post_init__(self) -> None:
        for name, value, known in (("backend", self.backend, _BACKENDS), ("dtype", self.dtype, _DTYPES)):
            if value not in known:
                raise unknown(name, value, known)
        if self.quantize not in _QUANTIZATIONS:
            raise unknown("quantize", str(self.quantize), ["int8"])

    def load(self, source: str, **hub: Any) -> tuple[Engine, "PreTrainedTokenizerBase"]:
        """Load a model, ready to be run, and its tokenizer.

        Args:
            source: folder or hub id.
            hub: `revision` and `token` on the hub.

        Raises:
            EncT5Error: when there is no EncT5 model, or it is damaged; or for settings that do not go together.
        """
        exported = self.backend == "onnx" or (self.backend == "auto" and is_exported(source, **hub))
        if exported or self.quantize:
            self._check_onnx(exported)
        if exported:
            return OnnxEncT5.from_pretrained(source, **hub), tokenizer_of(source, **hub)
        need("predict", f"a model that is not exported, as {source},")
        import torch

        from enct5.inference.torch_engine import TorchEngine
        from enct5.model.loading import load_model, load_tokenizer

        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() and not self.quantize else "cpu"
        dtype = "float32" if self.dtype == "auto" and device == "cpu" else self.dtype
        model, tokenizer = load_model(source, dtype, **hub), load_tokenizer(source, **hub)
        if self.quantize:
            from enct5.export.onnx import in_memory

            return in_memory(model, int8=True), tokenizer
        return TorchEngine(_placed(model, device), self.fold, self.compile), tokenizer

    def _check_onnx(self, exported: bool) -> None:
        """Refuse settings that ONNX Runtime on the CPU does not have."""
        if self.device not in ("auto", "cpu"):
            raise EncT5Error(f"device is {show(self.device)}, but ONNX Runtime runs on the CPU here; leave it out")
        if self.dtype not in ("auto", "float32"):
            raise EncT5Error(f"dtype is {show(self.dtype)}, but an exported model has the numbers it was exported with")
        if self.compile:
            raise EncT5Error("compile is True, but torch does not run the model where ONNX Runtime does; leave it out")
        if self.quantize is not None and exported:
            raise EncT5Error("the model is exported already; quantise it when you export it: enct5 export --int8")


def _placed(model: "EncT5ForClassification", device: str) -> "EncT5ForClassification":
    """The model on its device."""
    try:
        return cast(Any, model).to(device)  # `to` of transformers' models is typed as that of one without arguments
    except (RuntimeError, AssertionError) as error:  # no such device, or none of its kind here
        raise EncT5Error(f"cannot use the device {show(device)}: {first_line(error)}") from error
