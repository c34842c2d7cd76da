"""Training from Python: data that a program holds in, a trained model out."""

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enct5.assets import BUNDLED
from enct5.data.texts_and_labels import LABEL, are_texts, table_of, text_columns
from enct5.errors import EncT5Error, show
from enct5.files.hub_names import hub_token
from enct5.files.writing import refuse_occupied
from enct5.inference.described import described
from enct5.model import overwriting
from enct5.model.folder import REPORT
from enct5.model.publishing import Repository
from enct5.model.sources import check_source
from enct5.training.config import TrainConfig
from enct5.training.distillation.config import DistillConfig
from enct5.training.distillation.data import read_distillation_texts
from enct5.training.logs import no_bars
from enct5.training.rows import read

if TYPE_CHECKING:
    from enct5.inference.predictor import Predictor

_UNNAMED = "run"  # a run folder that nobody named
_Work = Callable[[Any, bool, Repository | None], dict[str, Any]]


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
    data: Any = None,
    labels: Any = None,
    *,
    eval: Any = None,
    out: str | Path | None = None,
    config: str | Path | Mapping[str, Any] | None = None,
    resume: bool = False,
    overwrite: bool = False,
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
        data: A table, whose columns `text` and `label` name: path of a file or hub data set `name[@revision]:split`,
            DataFrame of pandas or polars, `datasets.Dataset`, table of Arrow, dictionary of columns, or list of
            dictionaries. Or the texts, where `labels` are given: strings, pairs `(A, B)`, or lists of words. Only
            `config` may take its place.
        labels: One a text: a class, a list of labels, a number, or tags or entities (of lists of words or texts).
        eval: Evaluation data, as `data`, or `(texts, labels)`; without it a part of `data` is held out.
        out: Run folder to create; where neither this nor `config` names one, it is temporary, and goes with the result.
        config: YAML file of settings, such as a run folder's train_config.yaml, or a dictionary of them; what is given
            beside it wins over it.
        resume: Continue the interrupted run in `out`, given the same data and settings.
        overwrite: Replace the finished run in `out`, when the new one is complete.
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
    repository = _repository(push_to_hub, private, token)
    with hub_token(token):
        checked = settings_of(data, labels, eval, config, out=out, **settings)
        return _finished(checked, _train, resume, overwrite, repository)


def settings_of(data: Any, labels: Any, eval: Any, config: Any = None, **settings: Any) -> TrainConfig:
    """The settings of a training run on data that a program holds.

    Args:
        data: As for `train`.
        labels: Likewise.
        eval: Likewise.
        config: Likewise.
        settings: Likewise, and `out`.

    Raises:
        EncT5Error: For data that is no table, or settings that are wrong.
    """
    if labels is None and are_texts(data):
        raise EncT5Error("these are texts without labels; give both, as in `train(texts, labels)`")
    given = {**settings, **_data(data, labels, settings), "eval": _evaluation(eval)}
    return _settings(TrainConfig, config, given)


def distill(  # noqa: PLR0913  # what is to be done, by name
    teacher: "str | Path | Run | None" = None,
    data: Any = None,
    labels: Any = None,
    *,
    eval: Any = None,
    out: str | Path | None = None,
    config: str | Path | Mapping[str, Any] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    push_to_hub: str | None = None,
    private: bool = False,
    token: str | bool | None = None,
    **settings: Any,
) -> Run:
    """Train a small model on what a large one says about texts.

    Example:
        >>> student = enct5.distill("runs/large", frame["message"], epochs=5)
        >>> student.record["distillation"]["agreement"]

    Args:
        teacher: The model to learn from: run folder, `Run`, other EncT5 checkpoint, exported model, or hub id.
        data: A table as for `train`, or the texts alone: labels are not needed.
        labels: The texts' labels, as for `train`, where they are known; `None` for a text whose label is not.
        eval: As for `train`, or texts alone.
        out: Likewise.
        config: Likewise.
        resume: Likewise.
        overwrite: Likewise.
        push_to_hub: Likewise.
        private: Likewise.
        token: Likewise.
        settings: Those of `enct5.training.distillation.DistillConfig`: `temperature`, `label_weight`, `base`, ...

    Returns:
        The student's run.

    Raises:
        EncT5Error: For a teacher, data, settings or a base model that cannot be used.
    """
    teacher = teacher.folder if isinstance(teacher, Run) else teacher
    data = list(data) if isinstance(data, Iterator) else data
    eval = list(eval) if isinstance(eval, Iterator) else eval
    given = {**settings, **_data(data, labels, settings), "eval": _evaluation(eval), "out": out, "teacher": teacher}
    repository = _repository(push_to_hub, private, token)
    with hub_token(token):
        return _finished(_settings(DistillConfig, config, given), _distill, resume, overwrite, repository)


def _data(data: Any, labels: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The data as a setting, and those that follow where it is texts instead of a table."""
    if isinstance(labels, str):
        raise EncT5Error(f"`labels` is {show(labels)}; name columns as `text=...` and `label=...`")
    if labels is None and not are_texts(data):
        return {"data": data}
    if given := [name for name in ("text", "label") if name in settings]:
        raise EncT5Error(f"`{given[0]}` names a column of a table; leave it out where texts and labels are given")
    table = table_of(data, labels)
    return {"data": table, "text": text_columns(table), **({} if labels is None else {"label": LABEL})}


def _evaluation(data: Any) -> Any:
    if isinstance(data, tuple) and len(data) == 2:
        return table_of(*data)
    return data


def _settings(kind: type[TrainConfig], config: Any, given: Mapping[str, Any]) -> TrainConfig:
    """The settings of a file or dictionary, and what is given beside it."""
    values = {
        name: os.fspath(value) if isinstance(value, os.PathLike) else value
        for name, value in given.items()
        if value is not None
    }
    if config is None or isinstance(config, Mapping):
        return kind.checked(**{**(config or {}), **values})
    return kind.from_yaml(config, **values)


def _repository(push_to_hub: str | None, private: bool, token: str | bool | None) -> Repository | None:
    if push_to_hub is None and private:
        raise EncT5Error("`private` is for the repository of `push_to_hub`; give both, or leave it out")
    return None if push_to_hub is None else Repository(push_to_hub, private, token)


def _finished(config: TrainConfig, work: _Work, resume: bool, overwrite: bool, repository: Repository | None) -> Run:
    """Run into the folder that was named, or into a temporary one, and push the model."""
    from enct5.training.distributed import on_main_process

    if config.base != BUNDLED:
        check_source(config.base)
    out, is_named = Path(config.out), "out" in config.model_fields_set
    if (resume or overwrite) and not is_named:
        raise EncT5Error(
            f"only a run in a folder that was named can be {'resumed' if resume else 'replaced'}; name it by `out`"
        )
    with no_bars():
        if repository is not None:
            on_main_process(repository.check)
        if is_named:
            sources = [getattr(config, name) for name in config.sources]
            place = on_main_process(lambda: overwriting.place(out, overwriting.RUN, *sources)) if overwrite else out
            record = work(config.model_copy(update={"out": str(place)}), resume, repository)
            on_main_process(lambda: overwriting.replace(out, place, overwriting.RUN))
            run = Run(out, record)
        else:
            run = _run_aside(config, work, repository)
        if repository is not None:
            _push(run, repository)
    return run


def _train(config: TrainConfig, resume: bool, repository: Repository | None) -> dict[str, Any]:
    from enct5.training.distributed import on_main_process
    from enct5.training.run import train as train_by

    rows = None
    if repository is not None:
        rows = read(config)  # what is wrong with them is told before there is a repository
        on_main_process(repository.open)
    return train_by(config, resume, rows)


def _distill(config: DistillConfig, resume: bool, repository: Repository | None) -> dict[str, Any]:
    from enct5.training.distillation.run import distill as distill_by
    from enct5.training.distributed import on_main_process

    teacher, texts = described(config.teacher), None
    if repository is not None:
        texts = None if teacher is None else read_distillation_texts(config, teacher)
        on_main_process(repository.open)
    return distill_by(config, resume, texts)


def _push(run: Run, repository: Repository) -> None:
    from enct5.training.distributed import on_main_process

    try:
        on_main_process(lambda: repository.push(run.folder))
    except EncT5Error:
        if run.temporary is not None:
            run.temporary.detach()  # the folder stays, to be pushed later
        raise


def _run_aside(config: TrainConfig, work: _Work, repository: Repository | None) -> Run:
    """A run in a temporary folder, which goes when the run is forgotten."""
    from enct5.training.distributed import process_state

    if process_state().num_processes > 1:
        raise EncT5Error("several processes share one run folder; name it by `out`")
    folder = Path(tempfile.mkdtemp(prefix="enct5-"))
    try:
        config = config.model_copy(update={"out": str(folder / _UNNAMED)})
        run = Run(Path(config.out), work(config, False, repository))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    run.temporary = weakref.finalize(run, shutil.rmtree, folder, ignore_errors=True)
    return run
