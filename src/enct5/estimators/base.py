"""What the estimators share: parameters from `TrainConfig`, a training run as `fit`, texts of any column."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.validation import check_is_fitted

from enct5.data.in_memory import is_table, values_of
from enct5.errors import EncT5Error, unknown
from enct5.runs import train
from enct5.training.config import TrainConfig
from enct5.training.settings import explained

# Settings of a run that are no parameters: the data, which `fit` is given, and what is about files; the seed, which
# scikit-learn calls `random_state`, and the folder, which is not kept unless it is named.
NOT_PARAMETERS = (
    *("data", "text", "label", "eval", "task", "label_separator"),
    *("delimiter", "encoding", "skip_unknown_labels"),
    *("seed", "out"),
    *("tasks", "add_tasks"),  # `fit` is given the labels of one
    "add_labels",  # the model would have more labels than `fit` is given
)
_SEEDS = 2**31


class InvalidInputError(EncT5Error, ValueError):
    """A user's mistake as scikit-learn expects to be told."""


@contextmanager
def told_as_value_error() -> Iterator[None]:
    """Tell a user's mistake within the block as scikit-learn does."""
    try:
        yield
    except EncT5Error as error:
        raise InvalidInputError(str(error)) from error


def _parameters(without: Sequence[str]) -> dict[str, tuple[Any, str]]:
    """Every parameter's default and meaning."""
    fields = {
        name: (info.default, explained(info))
        for name, info in TrainConfig.model_fields.items()
        if name not in (*NOT_PARAMETERS, *without)
    }
    seed = TrainConfig.model_fields["seed"]
    return fields | {
        "out": (None, "Run folder to create; default: a temporary one."),
        "random_state": (seed.default, f"{seed.description} None or a generator of NumPy: drawn anew by each `fit`."),
    }


def _initializer(parameters: Mapping[str, tuple[Any, str]]) -> Callable[..., None]:
    """An `__init__` of keywords, from whose signature scikit-learn knows an estimator's parameters."""

    def __init__(self: Any, **given: Any) -> None:  # noqa: N807
        with told_as_value_error():
            for name in given:
                if name not in parameters:
                    raise unknown("parameter", name, parameters)
        for name, (default, _) in parameters.items():
            setattr(self, name, given.get(name, default))

    first = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    keywords = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
        for name, (default, _) in parameters.items()
    ]
    __init__.__signature__ = inspect.Signature([first, *keywords])  # type: ignore[attr-defined]
    return __init__


class TextEstimator(BaseEstimator):
    """An estimator whose `fit` is a training run.

    Attributes:
        predictor_: The trained model, an `enct5.Predictor`.
        metrics_: Its figures on the texts that the run held out.
    """

    without: ClassVar[tuple[str, ...]]  # settings that a kind of task does not have

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "without" in cls.__dict__:
            parameters = _parameters(cls.without)
            cls.__init__ = _initializer(parameters)  # type: ignore[method-assign]
            listed = "\n".join(f"    {name}: {meaning}" for name, (_, meaning) in parameters.items())
            cls.__doc__ = f"{inspect.cleandoc(cls.__doc__ or '')}\n\nArgs:\n{listed}\n"

    def _train(self, X: Any, labels: list[Any], task: str, **settings: Any) -> None:
        given = self.get_params(deep=False)
        seed = given.pop("random_state")
        if not isinstance(seed, (int, np.integer)):
            seed = check_random_state(seed).randint(_SEEDS)
        with told_as_value_error():
            texts = self._texts(X)
            check_consistent_length(texts, labels)
            run = train(texts, labels, task=task, seed=int(seed), **{**given, **settings})
            self.predictor_, self.metrics_ = run.predictor, run.metrics

    def _fitted(self) -> Any:
        check_is_fitted(self, "predictor_")
        return self.predictor_

    def _texts(self, X: Any) -> list[Any]:
        """Strings, or pairs of them: those of a list, array or Series, or of a table of one or two columns."""
        if sparse.issparse(X):
            raise EncT5Error("X is a sparse matrix, which is not supported; give the texts themselves")
        if is_table(X) and hasattr(X, "to_numpy"):
            X = X.to_numpy()
        if isinstance(X, np.ndarray) and X.ndim == 2 and X.shape[1] == 1:
            X = X[:, 0]
        return [tuple(row) if isinstance(row, list) else row for row in values_of(X, "X")]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = True, False
        tags.target_tags.required = tags.no_validation = True
        return tags
