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


def load() -> None:
    """Import torch, transformers and the model, which takes seconds; what the user should know, enct5 says itself."""
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
