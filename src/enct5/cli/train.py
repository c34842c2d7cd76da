"""`enct5 train` and `enct5 distill`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from enct5.cli.options import (
    AllowUnknown,
    BatchSize,
    Data,
    Epochs,
    EvalFraction,
    Evaluation,
    LabelSeparator,
    LearningRate,
    OverwriteRun,
    Precision,
    ResumeRun,
    Seed,
    columns_of,
    say,
)
from enct5.errors import InterruptedByUserError

if TYPE_CHECKING:
    from enct5.training.config import TrainConfig


def train(
    data: Data,
    text: Annotated[str, typer.Option("--text", help="Text column, or two separated by a comma for pairs.")],
    label: Annotated[str, typer.Option("--label", help="Label column.")],
    evaluation: Evaluation = None,
    task: Annotated[str, typer.Option(help="auto (by the label column), single, multi, regression, tokens.")] = "auto",
    label_separator: LabelSeparator = None,
    label_prompts: Annotated[
        str | None,
        typer.Option(help="Prompts start from labels' words (names, the default), or pad (multi-label)."),
    ] = None,
    label_descriptions: Annotated[
        str | None, typer.Option(help="JSON, YAML or CSV file, from whose words the prompts start (multi-label).")
    ] = None,
    loss: Annotated[str | None, typer.Option(help="focal, or for multi-label also asymmetric or bce.")] = None,
    class_weights: Annotated[str | None, typer.Option(help="balanced: rare classes weigh more in the loss.")] = None,
    label_smoothing: Annotated[
        float | None, typer.Option(help="Share of the target spread over all labels (single-label); default 0.1.")
    ] = None,
    token_decoder: Annotated[
        bool, typer.Option("--token-decoder", help="Tokens: tag by a decoder layer that reads the text's own tokens.")
    ] = False,
    lora: Annotated[
        bool, typer.Option("--lora", help="Train small matrices beside those of the base (LoRA); needs peft.")
    ] = False,
    gradient_checkpointing: Annotated[
        bool, typer.Option("--gradient-checkpointing", help="Less memory, more time: activations are computed again.")
    ] = False,
    base: Annotated[str, typer.Option(help="T5 or EncT5 checkpoint: folder, hub id, or `bundled`.")] = "bundled",
    out: Annotated[str | None, typer.Option(help="Run folder to create; default: runs/<name of DATA>.")] = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    max_length: Annotated[int | None, typer.Option(help="Tokens kept of a text; default 512.")] = None,
    allow_unknown: AllowUnknown = False,
    eval_fraction: EvalFraction = None,
    patience: Annotated[
        int | None,
        typer.Option(
            help="Evaluations (of 15) without a better score before it stops; default 8. "
            "It does not stop early where fewer than 50 texts are evaluated."
        ),
    ] = None,
    hpo: Annotated[
        int | None,
        typer.Option(help="Trials of a search for rate, epochs, batch size and label smoothing; needs optuna."),
    ] = None,
    precision: Precision = None,
    seed: Seed = None,
    resume: ResumeRun = False,
    overwrite: OverwriteRun = False,
) -> None:
    """Fine-tune a model on labelled texts and write its run folder."""
    from enct5.tasks.registry import find_task
    from enct5.training.config import TrainConfig

    options: dict[str, Any] = {
        "label_prompts": label_prompts,
        "label_descriptions": label_descriptions,
        "loss": loss,
        "class_weights": class_weights,
        "label_smoothing": label_smoothing,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "max_length": max_length,
        "eval_fraction": eval_fraction,
        "patience": patience,
        "hpo": hpo,
        "precision": precision,
        "seed": seed,
    }
    config = TrainConfig.checked(
        data=data,
        text=columns_of(text),
        label=label,
        eval=evaluation,
        task=task if task == "auto" else find_task(task).alias,
        label_separator=label_separator,
        token_decoder=token_decoder,
        lora=lora,
        gradient_checkpointing=gradient_checkpointing,
        allow_unknown=allow_unknown,
        base=base,
        out=out or str(Path("runs") / Path(data.partition(":")[0]).stem),
        **{name: value for name, value in options.items() if value is not None},
    )
    from enct5.cli import start

    _run(start.train, config, resume, overwrite)


def _run(train: Callable[..., dict[str, Any]], config: "TrainConfig", resume: bool, overwrite: bool) -> None:
    """Train into a run folder, and say what came of it."""
    from enct5.cli import overwriting, tables
    from enct5.model.folder import is_interrupted

    out = place = Path(config.out)
    if overwrite:
        place = overwriting.place(out, overwriting.RUN, *(getattr(config, name) for name in config.sources))
    try:
        record = train(config.model_copy(update={"out": str(place)}), resume)
    except KeyboardInterrupt:
        if not is_interrupted(place):
            raise InterruptedByUserError("interrupted; nothing was written yet") from None
        raise InterruptedByUserError(
            f"interrupted; the same command with --resume continues the run in {place}"
        ) from None
    from enct5.training.distributed import process_state

    is_main = process_state().is_main_process
    process_state().destroy_process_group()
    if not is_main:
        return
    overwriting.replace(out, place, overwriting.RUN)
    tables.show_metrics(record["metrics"], record["per_label"], record["data"]["eval_split"])
    if taught := record.get("distillation"):
        agreement = ", ".join(f"{name} {value:.4f}" for name, value in taught["agreement"].items())
        say(f"agreement with the teacher {taught['teacher']}: {agreement}")
    say(f"model: {out} ({record['seconds']:.0f} s); read its report.html, use it with:")
    say(f"  enct5 predict {out} FILE")


def distill(
    teacher: Annotated[
        str,
        typer.Argument(metavar="TEACHER", help="Run folder, other EncT5 checkpoint, exported model, or hub id."),
    ],
    data: Data,
    text: Annotated[str, typer.Option("--text", help="Text column, or two separated by a comma for pairs.")],
    label: Annotated[
        str | None, typer.Option("--label", help="Label column, if there is one; rows may lack their label.")
    ] = None,
    label_separator: LabelSeparator = None,
    label_weight: Annotated[
        float | None,
        typer.Option(help="Weight of a label in its text's loss, 0 to 1, beside the teacher; default 0.1."),
    ] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Softens the probabilities that the student learns; default 2.")
    ] = None,
    evaluation: Evaluation = None,
    base: Annotated[
        str, typer.Option(help="What the student starts from: T5 or EncT5 folder, hub id, or `bundled`.")
    ] = "bundled",
    out: Annotated[str | None, typer.Option(help="Run folder to create; default: runs/<name of DATA>-student.")] = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    max_length: Annotated[
        int | None, typer.Option(help="Tokens of a text that the student keeps; default 512.")
    ] = None,
    allow_unknown: AllowUnknown = False,
    eval_fraction: EvalFraction = None,
    patience: Annotated[
        int | None, typer.Option(help="Evaluations (of 15) without a better score before it stops; default 8.")
    ] = None,
    precision: Precision = None,
    seed: Seed = None,
    resume: ResumeRun = False,
    overwrite: OverwriteRun = False,
) -> None:
    """Train a small model on what a large one says about texts, with labels or without."""
    from enct5.training.distillation.config import DistillConfig

    options: dict[str, Any] = {
        "label_separator": label_separator,
        "label_weight": label_weight,
        "temperature": temperature,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "max_length": max_length,
        "eval_fraction": eval_fraction,
        "patience": patience,
        "precision": precision,
        "seed": seed,
    }
    config = DistillConfig.checked(
        teacher=teacher,
        data=data,
        text=columns_of(text),
        label=label,
        eval=evaluation,
        allow_unknown=allow_unknown,
        base=base,
        out=out or str(Path("runs") / f"{Path(data.partition(':')[0]).stem}-student"),
        **{name: value for name, value in options.items() if value is not None},
    )
    from enct5.cli import start

    _run(start.distill, config, resume, overwrite)
