"""The large libraries as the command wants them: imported in less time, and silent."""

import gc
import logging
import os
import sys
import warnings
from pathlib import Path

from enct5 import progress
from enct5.errors import is_installed
from enct5.export.onnx_session import is_exported
from enct5.extras import need


def check_for(*models: str, tables: bool = False) -> None:
    """Refuse what cannot be done with the packages that are installed, before anything is read.

    Args:
        models: what is to be run.
        tables: whether tables are to be read, too.

    Raises:
        EncT5Error: for an extra that is missing, which it names.
    """
    for model in models:
        here = Path(model).exists()
        if here and not is_exported(model):
            need("predict", f"a model that is not exported, as {model},")
        elif here or not is_installed("torch"):
            need("runtime", "an exported model")
    if tables:
        need("data", "a table of texts")


def load_for(*models: str) -> None:
    """Import what runs these models: exported ones need neither torch nor transformers.

    A model that has to be fetched is taken for one of torch, where there is a torch.
    """
    if all(Path(model).exists() and is_exported(model) for model in models) or not is_installed("torch"):
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # read when the hub's library is imported
        progress.enabled = True
    else:
        load()


def load(extra: str = "predict") -> None:
    """Import torch, transformers and the model, which takes seconds; what the user should know, enct5 says itself.

    Args:
        extra: what the command needs of enct5's extras.

    Raises:
        EncT5Error: where it is not installed.
    """
    need(extra, "this command")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    warnings.filterwarnings("ignore", module=r"(torch|transformers|accelerate|huggingface_hub|peft)\b")
    first = "torch" not in sys.modules
    # The collector takes a third of the time, though modules stay for good; at the end it would look at all of them.
    gc.disable()
    try:
        import enct5.model.modeling_enct5  # noqa: F401
    finally:
        if first:
            gc.freeze()
        gc.enable()
    progress.enabled = os.environ.get("LOCAL_RANK", "0") == "0"
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
