"""What a teacher says about the texts of a run: computed once, kept beside the checkpoints, read on resuming."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from enct5 import progress
from enct5.errors import EncT5Error
from enct5.files.writing import atomic_file, disk_full_as_error
from enct5.tokenization.windows import TaggedText

if TYPE_CHECKING:
    from enct5.inference.predictor import Predictor

Array = npt.NDArray[Any]
Outputs = Any  # float32 (texts, labels), or of tokens a list of `TaggedText`

FILE = "teacher.safetensors"  # beside the checkpoints
_CHUNK = 4096  # texts that the teacher is asked about at a time
_ANEW = "start anew with another --out"


def identity(digest: str | None, texts: Sequence[Any]) -> dict[str, str]:
    """What decides a teacher's outputs: the digest of the teacher, and one of the texts."""
    found = hashlib.sha256()
    for text in texts:
        found.update(json.dumps(text).encode() + b"\n")
    return {"teacher": str(digest), "texts": found.hexdigest()}


def write(predictor: "Predictor", decided_by: dict[str, str], texts: Sequence[Any], file: Path) -> None:
    """Keep the teacher's logits of all texts.

    Args:
        predictor: the teacher.
        decided_by: as from `identity`.
        texts: strings, pairs of strings, or lists of words; one at least.
        file: what is written, whole or not at all.

    Raises:
        EncT5Error: where there is no room for it.
    """
    outputs: list[Any] = []
    with progress.bar("teacher", total=len(texts)):
        for start in range(0, len(texts), _CHUNK):
            chunk = texts[start : start + _CHUNK]
            found = predictor.logits(chunk)
            outputs += found if isinstance(found, list) else [found]
            progress.advance(len(chunk))
    tensors: dict[str, Array]
    if isinstance(outputs[0], TaggedText):
        tensors = {
            "logits": np.concatenate([one.logits for one in outputs]).astype(np.float32),
            "offsets": np.concatenate([one.offsets for one in outputs]).astype(np.int32).reshape(-1, 2),
            "counts": np.array([len(one.offsets) for one in outputs], dtype=np.int64),
        }
    else:
        tensors = {"logits": np.concatenate(outputs)}
    with disk_full_as_error(file.parent, "make room, and start again"), atomic_file(file) as aside:
        save_file(tensors, aside, metadata=decided_by)


def read(file: Path, decided_by: dict[str, str], texts: Sequence[Any]) -> Outputs:
    """The teacher's logits of the texts, as from `Predictor.logits`.

    Args:
        file: as written.
        decided_by: as from `identity`.
        texts: as they were written.

    Raises:
        EncT5Error: where the file is of another teacher or of other texts, or cannot be read.
    """
    try:
        with safe_open(file, framework="np") as opened:
            former = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # it is no dictionary
    except (OSError, SafetensorError) as error:
        raise EncT5Error(f"cannot read {file} ({error}); delete it, and the teacher is asked again") from error
    for name, kind in (("teacher", "the teacher has"), ("texts", "the texts have")):
        if former.get(name) != decided_by[name]:
            raise EncT5Error(f"{kind} changed since the run in {file.parent.parent} was started; restore, or {_ANEW}")
    if "counts" not in tensors:
        return tensors["logits"]
    ends = np.cumsum(tensors["counts"])[:-1]
    parts = zip(np.split(tensors["offsets"], ends), np.split(tensors["logits"], ends), strict=True)
    return [TaggedText(text, offsets, logits) for text, (offsets, logits) in zip(texts, parts, strict=True)]
