"""What a `Predictor` runs: one contract for a model of torch and for an exported one."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable


class Form(Protocol):
    """A way of running a model on rows of token ids.

    Attributes:
        name: what it runs, in a few words.
        pads: whether the rows of a batch are padded to one length, and attend under a mask.
    """

    name: str
    pads: bool

    def __call__(self, rows: Sequence[Any]) -> Sequence[Any]:
        """The float32 logits of every row: `(num_labels,)`, or of tokens `(tokens or more, num_labels)`."""
        ...


@runtime_checkable
class Engine(Protocol):
    """A trained model that runs, and all that differs between those of torch and exported ones.

    A pickled or copied one carries the model, and makes anew what was made of it. Any number of threads may use one.

    Attributes:
        fold: whether the folded model (`enct5.folding`) runs, if there is one.
        compile: whether the model compiled by torch does.
    """

    fold: bool
    compile: bool

    @property
    def model(self) -> Any:
        """What it runs: a model of torch, or an exported one."""
        ...

    @property
    def config(self) -> Any:
        """The model's configuration as it is now, an `EncT5Config`."""
        ...

    @property
    def device(self) -> str:
        """Where it runs: `cpu`, `cuda:0`."""
        ...

    @property
    def dtype(self) -> str | None:
        """The numbers of weights and arithmetic, as `float32`; None for an exported model, which has its own."""
        ...

    @property
    def threads(self) -> int:
        """How many threads of the CPU it uses."""
        ...

    def use_threads(self, count: int) -> None:
        """Compute with so many threads of the CPU from now on when called from this thread, where that can be set."""
        ...

    def current(self) -> Form:
        """What runs the model as it is now; what was made of it is made anew where the model has changed since."""
        ...

    def batch_tokens(self) -> int:
        """The most tokens of a batch that suit the device as it is now."""
        ...

    def is_fine_tuned(self) -> bool | None:
        """Whether the model was ever trained; None where that cannot be told."""
        ...

    def damaged_weight(self) -> str | None:
        """The name of a weight that holds NaN or infinite values; None for none, or where weights cannot be seen."""
        ...

    def summary(self) -> str:
        """What the model is and how large, in a few words."""
        ...

    def ways(self) -> Mapping[str, Form]:
        """The ways to run the model that can be compared here, by name; the one to compare with first.

        Raises:
            EncT5Error: where there is nothing to compare.
        """
        ...

    def of_task(self, name: str) -> "Engine":
        """The same for one of the model's several tasks alone, which need not be loaded again."""
        ...

    def differentiable(self) -> Any:
        """The model of torch, for what needs gradients.

        Raises:
            EncT5Error: where there are none.
        """
        ...
