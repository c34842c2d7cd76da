"""What a run is judged by."""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from enct5.tokenization.shared_rows import SharedRows
from enct5.tokenization.whole_texts import WholeTexts
from enct5.tokenization.windows import Windows
from enct5.training.dataset import as_dataset

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
    order: list[int] = field(init=False)

    def __post_init__(self, targets: Any) -> None:
        dataset = as_dataset(self.inputs, targets)
        lengths = dataset["length"][:]
        self.order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
        self.dataset = dataset.select(self.order)

    def __len__(self) -> int:
        return len(self.texts)

    def logits(self, outputs: Any, num_labels: int) -> Any:
        """The logits of the texts, in their order, from a model's outputs for the rows of `dataset`."""
        return self.inputs.outputs([outputs[place] for place in np.argsort(self.order)], num_labels)

    def records(self, columns: Sequence[str]) -> list[dict[str, Any]]:
        """The texts as rows of a table with these columns."""
        parts = (text if isinstance(text, tuple) else (text,) for text in self.texts)
        return [dict(zip(columns, part, strict=True)) for part in parts]
