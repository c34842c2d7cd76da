"""What tests run in processes of their own, which have to find it by its name."""

import multiprocessing
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enct5.files.locks import only_writer

if TYPE_CHECKING:
    from enct5 import Predictor


def hold(folder: Path, held: Event) -> None:
    with only_writer(folder, folder):
        held.set()
        multiprocessing.Event().wait()  # until it is killed


def logits_there(predictor: "Predictor", texts: list[str]) -> Any:
    import torch

    torch.set_num_threads(1)
    return predictor.logits(texts)
