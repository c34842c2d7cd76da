"""Training from Python: data that a program holds in, a trained model out."""

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enct5.assets import BUNDLED
from enct5.data.in_memory import is_table
from enct5.errors import EncT5Error, show
from enct5.files.hub_names import hub_token
from enct5.files.writing import refuse_occupied
from enct5.model.folder import REPORT
from enct5.model.publishing import Repository
from enct5.model.sources import check_source
from enct5.training.config import TrainConfig
from enct5.training.data import read_rows
from enct5.training.logs import no_bars

if TYPE_CHECKING:
    from enct5.inference.predictor import Predictor

_TEXT, _PAIR, _LABEL = "text", "text_pair", "label"  # the columns that texts and labels without names become
_UNNAMED = "run"  # a run folder that nobody named


class Run:
    """A finished training run.

    Attributes:
        folder: The run folder, as `enct5 train` writes it: model, tokenizer, figures, report and model card. Where none
            was named it is temporary, and goes with this object; `save` keeps it.
        record: What is known of the run, as in the folder's metrics.json.
        temporary: What deletes the folder, where nobody named it.
    """

    temporary: weakref.finalize | None = None

    def __init__(self, folder: Path, record: dict[str, Any]) -> None:
        self.folder, self.record = folder, record

    @property
    def metrics(self) -> dict[str, float]:
        """The figures on the evaluation data, or on the texts held out."""
        return dict(self.record["metrics"])

    @property
    def per_label(self) -> list[dict[str, Any]]:
        """Those of each label; none for regression."""
        return list(self.record["per_label"])

    @property
    def report(self) -> Path:
        """The report: one HTML page."""
        return self.folder / REPORT

    @cached_property
    def predictor(self) -> "Predictor":
        """The trained model, ready for texts; it outlives the folder."""
        from enct5.inference.predictor import Predictor

        with no_bars():
            return Predictor.from_pretrained(self.folder)

    def push_to_hub(self, name: str, *, private: bool = False, token: str | bool | None = None) -> str:
        """Upload the model to the hub: what can be loaded, figures and card, but no texts.

        Args:
            name: The repository, `owner/name`, or a name of your own; made where there is none.
            private: Make it a private one.
            token: Access token of the hub; by default that of `hf auth login` or `HF_TOKEN`.

        Returns:
            The repository's address.

        Raises:
            EncT5Error: When it cannot be made, or written to.
        """
        repository = Repository(name, private, token)
        repository.check()
        with no_bars():
            repository.open()
            return repository.push(self.folder)

    def save(self, folder: str | Path) -> Path:
        """Copy the run folder, and return the copy's path.

        Raises:
            EncT5Error: When there is something already, or it cannot be written.
        """
        target = Path(folder).expanduser()
        refuse_occupied(target, "choose another folder, or delete it")
        try:
            return Path(shutil.copytree(self.folder, target, dirs_exist_ok=True))
        except OSError as error:
            raise EncT5Error(f"cannot write to {target}: {show(error, 200)}; choose another folder") from error

    def __repr__(self) -> str:
        figures = ", ".join(f"{name} {value:.4f}" for name, value in self.metrics.items())
        return f"<Run in {self.folder}: {figures}>"


def train(  # noqa: PLR0913  # what is to be done, by name
    data: Any,
    labels: Any = None,
    *,
    eval: Any = None,
    out: str | Path | None = None,
    resume: bool = False,
    push_to_hub: str | None = None,
    private: bool = False,
    token: str | bool | None = None,
    **settings: Any,
) -> Run:
    """Fine-tune a model on labelled texts.

    Example:
        >>> run = enct5.train(frame, text="message", label="intent", epochs=5)
        >>> run.metrics["macro_f1"], run.predictor.predict("where is my parcel?")
        >>> run.save("runs/intents")

    Progress is logged: `logging.basicConfig()` and `logging.getLogger("enct5").setLevel("INFO")` show it.

    Args:
        data: A table, whose columns `text` and `label` name: path of a file or hub data set `name:split`, DataFrame of
            pandas or polars, `datasets.Dataset`, table of Arrow, dictionary of columns, or list of dictionaries. Or
            the texts, where `labels` are given: strings, pairs `(A, B)`, or lists of words.
        labels: One a text: a class, a list of labels, a number, or tags or entities (of lists of words or texts).
        eval: Evaluation data, as `data`, or `(texts, labels)`; without it a part of `data` is held out.
        out: Run folder to create; without it the folder is a temporary one, which goes with the result.
        resume: Continue the interrupted run in `out`, given the same data and settings.
        push_to_hub: Also upload the model to this repository, as `Run.push_to_hub` does. Name and token are tried
            before training begins. Where the upload fails, the run folder stays, a temporary one, too.
        private: As for `Run.push_to_hub`.
        token: Access token of the hub, to read from it and to push; by default that of `hf auth login` or `HF_TOKEN`.
            It is written nowhere.
        settings: Those of `enct5.training.TrainConfig`, whose documentation lists them: `text` and `label`, which name
            columns, `task`, `base`, `epochs`, ..., as on the command line.

    Returns:
        The run.

    Raises:
        EncT5Error: For data, settings or a base model that cannot be used.
    """
    if labels is not None:
        if isinstance(labels, str):
            raise EncT5Error(f"`labels` is {show(labels)}; name columns as `text=...` and `label=...`")
        if given := [name for name in ("text", "label") if name in settings]:
            raise EncT5Error(f"`{given[0]}` names a column of a table; leave it out where texts and labels are given")
        data = _labelled(data, labels)
        settings |= {"text": tuple(name for name in data if name != _LABEL), "label": _LABEL}
    elif not isinstance(data, (str, os.PathLike)) and _are_texts(data):
        raise EncT5Error("these are texts without labels; give both, as in `train(texts, labels)`")
    if isinstance(eval, tuple) and len(eval) == 2:
        eval = _labelled(*eval)
    if resume and out is None:
        raise EncT5Error("only a run in a folder that was named can be resumed; name it by `out`")
    paths = {"data": data, "eval": eval, "out": _UNNAMED if out is None else out, **settings}
    config = TrainConfig.checked(
        **{name: os.fspath(value) if isinstance(value, os.PathLike) else value for name, value in paths.items()}
    )
    if config.base != BUNDLED:
        check_source(config.base)
    repository = None if push_to_hub is None else Repository(push_to_hub, private, token)
    with hub_token(token):
        run = _run(config, resume, repository) if out is not None else _run_aside(config, repository)
    if repository is not None:
        _push(run, repository)
    return run


def _run(config: TrainConfig, resume: bool, repository: Repository | None) -> Run:
    from enct5.training.distributed import on_main_process
    from enct5.training.run import train as train_by

    rows = None
    with no_bars():
        if repository is not None:
            on_main_process(repository.check)
            rows = read_rows(config)  # what is wrong with them is told before there is a repository
            on_main_process(repository.open)
        return Run(Path(config.out), train_by(config, resume, rows))


def _push(run: Run, repository: Repository) -> None:
    from enct5.training.distributed import on_main_process

    try:
        with no_bars():
            on_main_process(lambda: repository.push(run.folder))
    except EncT5Error:
        if run.temporary is not None:
            run.temporary.detach()  # the folder stays, to be pushed later
        raise


def _run_aside(config: TrainConfig, repository: Repository | None) -> Run:
    """A run in a temporary folder, which goes when the run is forgotten."""
    from enct5.training.distributed import process_state

    if process_state().num_processes > 1:
        raise EncT5Error("several processes share one run folder; name it by `out`")
    folder = Path(tempfile.mkdtemp(prefix="enct5-"))
    try:
        run = _run(config.model_copy(update={"out": str(folder / _UNNAMED)}), False, repository)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    run.temporary = weakref.finalize(run, shutil.rmtree, folder, ignore_errors=True)
    return run


def _are_texts(data: Any) -> bool:
    """Whether what should be a table is a list, array or Series of anything but rows."""
    return not is_table(data) and isinstance(data, Iterable) and not isinstance(next(iter(data), None), Mapping)


def _labelled(texts: Any, labels: Any) -> dict[str, Any]:
    """Texts, or pairs of them, and labels as the columns of a table."""
    if isinstance(texts, Iterator) or not isinstance(texts, Iterable) or not isinstance(next(iter(texts), None), tuple):
        return {_TEXT: texts, _LABEL: labels}
    for row, text in enumerate(texts, 1):
        if not isinstance(text, tuple) or len(text) != 2:
            raise EncT5Error(
                f"text {row} is {show(repr(text))}, the first is a pair; give pairs of strings, or strings"
            )
    first, second = (list(column) for column in zip(*texts, strict=True))
    return {_TEXT: first, _PAIR: second, _LABEL: labels}
