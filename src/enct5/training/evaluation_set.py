"""What a run is judged by."""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from enct5.tokenization.shared_rows import SharedRows
from enct5.tokenization.whole_texts import WholeTexts
from enct5.tokenization.windows import Windows
from enct5.training.dataset import as_dataset, lengths_of

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass
class EvaluationSet:
    """The texts that a run is judged by, tokenised.

    Attributes:
        texts: as they were read: strings, pairs, or lists of words.
        labels: theirs, as the task encodes them, in the user's unit.
        split: where they come from, in words.
        shared_texts: how many of them training sees, too.
        inputs: the rows of token ids that they become.
        targets: their labels as training has them, which go into `dataset`.
        dataset: those rows, longest first.
        order: the number of every row of `dataset` in `inputs`.
    """

    texts: Sequence[Any]
    labels: Any
    split: str
    shared_texts: int
    inputs: WholeTexts | Windows | SharedRows
    targets: InitVar[Any]
    dataset: "Dataset" = field(init=False)
    order: npt.NDArray[np.int64] = field(init=False)

    def __post_init__(self, targets: Any) -> None:
        dataset = as_dataset(self.inputs, targets)
        self.order = np.argsort(-lengths_of(dataset), kind="stable")
        self.dataset = dataset.select(self.order, new_fingerprint=uuid4().hex)

    def __len__(self) -> int:
        return len(self.texts)

    def logits(self, outputs: Any, num_labels: int) -> Any:
        """The logits of the texts, in their order, from a model's outputs for the rows of `dataset`."""
        places = np.argsort(self.order)
        own: Any = outputs[places] if isinstance(outputs, np.ndarray) else [outputs[place] for place in places]
        return self.inputs.outputs(own, num_labels)

    def records(self, columns: Sequence[str]) -> Sequence[dict[str, Any]]:
        """The texts as rows of a table with these columns, made as they are asked for."""
        return _Records(self.texts, columns)


class _Records(Sequence[dict[str, Any]]):
    def __init__(self, texts: Sequence[Any], columns: Sequence[str]) -> None:
        self._texts, self._columns = texts, columns

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, row: Any) -> Any:
        text = self._texts[row]
        return dict(zip(self._columns, text if isinstance(text, tuple) else (text,), strict=True))
