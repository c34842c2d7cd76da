"""What each extra of pyproject.toml brings, and one line where it is missing."""

from enct5.errors import EncT5Error, is_installed

_DATA = ("datasets", "pandas", "pyarrow", "scipy", "sklearn")
_PREDICT = ("torch", "transformers", "safetensors", *_DATA)
_REPORT = ("jinja2", "matplotlib")
_TRAIN = (*_PREDICT, "accelerate", *_REPORT)

# By name: what is imported, that of the extras that it includes among them. Of a few bases of the hub alone, and so not
# asked for here: sentencepiece and protobuf.
PACKAGES: dict[str, tuple[str, ...]] = {
    "runtime": ("onnxruntime",),
    "data": _DATA,
    "predict": _PREDICT,
    "report": _REPORT,
    "train": _TRAIN,
    "onnx": (*_PREDICT, "onnx", "onnxruntime", "onnxscript"),
    "serve": ("httptools", "prometheus_client", "starlette", "uvicorn"),
}


def need(extra: str, what: str) -> None:
    """Make sure that all packages of an extra are installed.

    Args:
        extra: its name.
        what: what the user asked for.

    Raises:
        EncT5Error: when one is not; the message names them all, and the extra.
    """
    missing = [package for package in PACKAGES[extra] if not is_installed(package)]
    if missing:
        are = "which is" if len(missing) == 1 else "which are"
        raise EncT5Error(f"{what} needs {', '.join(missing)}, {are} not installed: pip install 'enct5[{extra}]'")
