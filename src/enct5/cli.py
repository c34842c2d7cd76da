"""The `enct5` command: arguments in, one line of text for every mistake; the work is done in the other modules.

Commands import what they need when they run, so that `enct5 --help` waits for no library; and what can be wrong is told
before torch is imported (`libraries.load`), which takes seconds.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from enct5 import progress
from enct5.errors import EncT5Error, InterruptedByUserError, printable, show

if TYPE_CHECKING:
    from enct5.training_config import TrainConfig

app = typer.Typer(
    name="enct5",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Model = Annotated[str, typer.Argument(metavar="MODEL", help="Run folder, another EncT5 checkpoint, or hub id.")]
Data = Annotated[
    str, typer.Argument(metavar="DATA", help="CSV, TSV, JSONL, JSON or Parquet file, or hub dataset `name:split`.")
]
AllowUnknown = Annotated[
    bool, typer.Option("--allow-unknown", help="Train even if half of the texts is unknown to BASE's tokenizer.")
]
EvalFraction = Annotated[float | None, typer.Option(help="Share held out without --eval; default 0.1.")]
Precision = Annotated[str | None, typer.Option(help="auto, float32 or bfloat16.")]
Seed = Annotated[int | None, typer.Option(help="Seed; default 42.")]
ResumeRun = Annotated[bool, typer.Option("--resume", help="Continue the interrupted run in --out.")]
OverwriteRun = Annotated[
    bool, typer.Option("--overwrite", help="Replace the finished run in --out, when the new one is complete.")
]
Text = Annotated[str | None, typer.Option("--text", help="Text column, or two separated by a comma for pairs.")]
Label = Annotated[str | None, typer.Option("--label", help="Label column.")]
AbstainBelow = Annotated[
    float | None, typer.Option(help="Give no label where its score (0 to 1) is lower; single-label only.")
]
LabelSeparator = Annotated[str | None, typer.Option(help="What separates several labels in one field (multi-label).")]
Device = Annotated[str, typer.Option(help="cpu, cuda or another; auto takes a GPU if there is one.")]
Dtype = Annotated[
    Literal["auto", "float32", "bfloat16", "float16"],
    typer.Option(help="Of weights and arithmetic; auto: by the device."),
]
Quantize = Annotated[
    Literal["int8"] | None,
    typer.Option(help="int8: faster on a CPU, approximate; needs onnx, onnxscript and onnxruntime."),
]
BatchTokens = Annotated[
    int | None,
    typer.Option("--batch-tokens", min=1, help="Most tokens of a batch, padding included; default: by the device."),
]


def _speaks() -> bool:
    """Whether this process is the first on its machine, of those that `torchrun` or `accelerate launch` started."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def _say(line: str) -> None:
    print(printable(line), flush=True)


def _columns(text: str | None) -> tuple[str, ...] | None:
    """The columns that a user names; one alone may have blanks at its ends, as some files have it."""
    if text is None:
        return None
    if "," not in text:
        return (text,) if text.strip() else ()
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _load_for(model: str) -> None:
    """Refuse what can be no model, then import what runs one."""
    from enct5 import libraries
    from enct5.sources import check_source, prepare_for_hub

    check_source(model)
    prepare_for_hub(model)
    libraries.load()


def _show_version(wanted: bool) -> None:
    if wanted:
        from enct5.version import __version__

        _say(f"enct5 {__version__}")
        raise typer.Exit


@app.callback()
def enct5(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Turn a T5 checkpoint into a fast, trustworthy classifier (EncT5, arXiv 2110.08426 v2)."""


@app.command()
def train(
    data: Data,
    text: Annotated[str, typer.Option("--text", help="Text column, or two separated by a comma for pairs.")],
    label: Annotated[str, typer.Option("--label", help="Label column.")],
    evaluation: Annotated[
        str | None, typer.Option("--eval", help="Evaluation data; default: a part of DATA is held out.")
    ] = None,
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
    epochs: Annotated[float | None, typer.Option(help="Passes over the data; default: by its size, 3 to 20.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Texts of a step on average; default 32.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Peak, relative to a tensor's size; default: 0.01, less for wide bases.")
    ] = None,
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
    from enct5.tasks import find_task
    from enct5.training_config import TrainConfig

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
        text=_columns(text),
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
    from enct5 import start

    _run(start.train, config, resume, overwrite)


def _run(train: Callable[..., dict[str, Any]], config: "TrainConfig", resume: bool, overwrite: bool) -> None:
    """Train into a run folder, and say what came of it."""
    from enct5 import console, overwriting
    from enct5.run_folder import is_interrupted

    out = place = Path(config.out)
    if overwrite:
        place = overwriting.place(out, overwriting.RUN, *(getattr(config, name) for name in config.sources))
    try:
        record = train(config.model_copy(update={"out": str(place)}), resume, _say)
    except KeyboardInterrupt:
        if not is_interrupted(place):
            raise InterruptedByUserError("interrupted; nothing was written yet") from None
        raise InterruptedByUserError(
            f"interrupted; the same command with --resume continues the run in {place}"
        ) from None
    from enct5.processes import process_state

    is_main = process_state().is_main_process
    process_state().destroy_process_group()
    if not is_main:
        return
    overwriting.replace(out, place, overwriting.RUN)
    console.show_metrics(record["metrics"], record["per_label"], record["data"]["eval_split"])
    if taught := record.get("distillation"):
        agreement = ", ".join(f"{name} {value:.4f}" for name, value in taught["agreement"].items())
        _say(f"agreement with the teacher {taught['teacher']}: {agreement}")
    _say(f"model: {out} ({record['seconds']:.0f} s); read its report.html, use it with:")
    _say(f"  enct5 predict {out} FILE")


@app.command()
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
    evaluation: Annotated[
        str | None, typer.Option("--eval", help="Evaluation data; default: a part of DATA is held out.")
    ] = None,
    base: Annotated[
        str, typer.Option(help="What the student starts from: T5 or EncT5 folder, hub id, or `bundled`.")
    ] = "bundled",
    out: Annotated[str | None, typer.Option(help="Run folder to create; default: runs/<name of DATA>-student.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the data; default: by its size, 3 to 20.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Texts of a step on average; default 32.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Peak, relative to a tensor's size; default: 0.01, less for wide bases.")
    ] = None,
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
    from enct5.distillation_config import DistillConfig

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
        text=_columns(text),
        label=label,
        eval=evaluation,
        allow_unknown=allow_unknown,
        base=base,
        out=out or str(Path("runs") / f"{Path(data.partition(':')[0]).stem}-student"),
        **{name: value for name, value in options.items() if value is not None},
    )
    from enct5 import start

    _run(start.distill, config, resume, overwrite)


@app.command()
def evaluate(
    model: Model,
    data: Data,
    text: Text = None,
    label: Label = None,
    label_separator: LabelSeparator = None,
    abstain_below: AbstainBelow = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")] = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    quantize: Quantize = None,
    batch_tokens: BatchTokens = None,
) -> None:
    """Measure a model on labelled texts; the columns are those it was trained with unless named."""
    from enct5 import console, data_notes, evaluation, libraries
    from enct5.sources import described, prepare_for_hub
    from enct5.writing import check_file

    if json_file is not None:
        check_file(json_file)
    known = described(model)
    prepare_for_hub(model, data)
    rows = known and evaluation.read_rows(known, data, _columns(text), label, abstain_below, label_separator)
    libraries.load()
    from enct5.predict import Predictor

    with progress.bar("loading"):
        predictor = Predictor.from_pretrained(
            model, device=device, dtype=dtype, quantize=quantize, batch_tokens=batch_tokens
        )
    predictor.warns_of_unknown = False  # the notes tell
    record = evaluation.evaluate(predictor, data, _columns(text), label, abstain_below, label_separator, rows)
    for note in record["notes"]:
        _say(data_notes.line(note))
    console.show_metrics(record["metrics"], record["per_label"], f"{record['rows']} rows of {record['data']}")
    if json_file is not None:
        evaluation.write_json(record, json_file)
    console.show_settings(predictor.settings())


@app.command()
def predict(
    model: Model,
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="File or hub dataset of texts, `-` for lines, or one text itself.")
    ],
    second: Annotated[str | None, typer.Argument(metavar="SECOND", help="The second text of one pair.")] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="File to write: .csv, .tsv, .jsonl or .parquet; default: CSV.")
    ] = None,
    text: Text = None,
    abstain_below: AbstainBelow = None,
    top_k: Annotated[
        int | None, typer.Option(help="Also the scores of the N likeliest labels (not of numbers, nor entities).")
    ] = None,
    all_scores: Annotated[bool, typer.Option("--all-scores", help="Also the scores of all labels.")] = False,
    device: Device = "auto",
    dtype: Dtype = "auto",
    quantize: Quantize = None,
    batch_tokens: BatchTokens = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted call for the same --out.")
    ] = False,
) -> None:
    """Predict for every text: the input's columns and the predictions'."""
    from enct5 import console, libraries, prediction_file
    from enct5.digests import digest_of_checkpoint
    from enct5.paths import is_text
    from enct5.sources import described, prepare_for_hub
    from enct5.tasks import check_abstention, check_top_k

    if all_scores and top_k is not None:
        raise EncT5Error("--top-k and --all-scores do not go together; leave out one of them")
    most = None if all_scores else 1 if top_k is None else top_k
    known = described(model)
    if known is not None and abstain_below is not None:
        check_abstention(known.task, abstain_below)
    if known is not None and most != 1:
        check_top_k(known.task, most)
    one = second is not None or (text is None and is_text(data))
    if one and (out is not None or text is not None or resume):
        raise EncT5Error(f"{show(data)} is one text, whose result is shown here; leave out --out, --text and --resume")
    if one and known is not None:
        _check_parts(known, second is not None)
    prediction_file.check_output(out, data)
    prepare_for_hub(model, None if one or data == prediction_file.STDIN else data)
    rows = None if one else known and prediction_file.read_rows(known, data, _columns(text))
    libraries.load()
    from enct5.predict import Predictor

    with progress.bar("loading"):
        predictor = Predictor.from_pretrained(
            model, device=device, dtype=dtype, quantize=quantize, batch_tokens=batch_tokens
        )
    if one:
        _check_parts(predictor, second is not None)
        ((result, best),) = predictor.scored([data if second is None else (data, second)], abstain_below, most)
        console.show_prediction(result, best)
        return
    run = None
    if out is not None and data != prediction_file.STDIN:  # what can be resumed
        run = {"model": digest_of_checkpoint(model), "quantize": quantize, "dtype": predictor.settings().get("dtype")}
    prediction_file.predict_table(predictor, data, _columns(text), out, abstain_below, resume, run, rows, most)
    if out is not None:
        console.show_settings(predictor.settings())


def _check_parts(model: Any, is_pair: bool) -> None:
    """Refuse one text for a model of pairs, and a pair for one of single texts."""
    if model.config is not None and (len(model.config.text) == 2) != is_pair:
        columns = " and ".join(map(show, model.config.text))
        raise EncT5Error(f"the model was trained on {columns}; give {'one text' if is_pair else 'two texts'}")


@app.command()
def explain(
    model: Model,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The text.")],
    second: Annotated[str | None, typer.Argument(metavar="SECOND", help="The second text of a pair.")] = None,
    label: Annotated[
        str | None, typer.Option("--label", help="Label to explain; default: those predicted, at most 5.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Also write a page to this file.")] = None,
) -> None:
    """Show which words moved a prediction, and which were attended to."""
    from enct5.writing import check_file

    if html is not None:
        check_file(html)
    _load_for(model)
    from enct5 import console, explanation_page
    from enct5.predict import Predictor

    with progress.bar("explaining"):
        predictor = Predictor.from_pretrained(model)
        explanation = predictor.explain(text if second is None else (text, second), label)
    console.show_explanation(explanation)
    if html is not None:
        explanation_page.write(explanation, html)
        _say(f"page: {html}")


@app.command()
def convert(
    base: Annotated[str, typer.Argument(metavar="BASE", help="T5, v1.1, Flan, ByT5, mT5 or umT5: folder or hub id.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to create.")],
    num_labels: Annotated[int, typer.Option(help="Number of labels, or of regression targets.")],
    problem_type: Annotated[
        str | None,
        typer.Option(
            help="single_label_classification, multi_label_classification, regression or token_classification."
        ),
    ] = None,
    num_decoder_layers: Annotated[int, typer.Option(help="Decoder layers kept.")] = 1,
    token_decoder: Annotated[
        bool, typer.Option("--token-decoder", help="Tokens: keep the decoder, and feed it with the text's own tokens.")
    ] = False,
    allow_untrained_decoder: Annotated[
        bool, typer.Option("--allow-untrained-decoder", help="Accept an encoder-only BASE.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the converted model in OUT, when the new one is complete.")
    ] = False,
) -> None:
    """Make an EncT5 checkpoint of a T5 one, to be fine-tuned before use."""
    from enct5 import overwriting
    from enct5.tasks import find_task
    from enct5.writing import refuse_occupied

    place = overwriting.place(out, overwriting.CONVERTED, base) if overwrite else out
    refuse_occupied(place)
    if problem_type is not None:
        problem_type = find_task(problem_type).name
    _load_for(base)
    from enct5 import conversion

    with progress.bar("converting"):
        result = conversion.convert_folder(
            base,
            place,
            num_labels=num_labels,
            problem_type=problem_type,
            num_decoder_layers=num_decoder_layers,
            token_decoder=token_decoder,
            allow_untrained_decoder=allow_untrained_decoder,
        )
    overwriting.replace(out, place, overwriting.CONVERTED)
    _say(f"{base} -> {out}: {result.model.num_parameters() / 1e6:.1f}M parameters")
    _say(f"copied and compared with the file: {len(result.copied)} tensors")
    _say(f"new, to be fine-tuned before use: {', '.join(result.new)}")
    _say(
        f"not used by EncT5: {len(result.unused)} tensors" + (f", such as {result.unused[0]}" if result.unused else "")
    )


@app.command()
def export(
    model: Model,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to create.")],
    file_format: Annotated[Literal["onnx"], typer.Option("--format", help="Of the model file.")] = "onnx",
    int8: Annotated[
        bool, typer.Option("--int8", help="Matrix products of 8-bit numbers: smaller, faster, approximate.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the exported model in OUT, when the new one is complete.")
    ] = False,
) -> None:
    """Write a model for ONNX Runtime, in its inference form; `predict` and `evaluate` take the folder, too."""
    from enct5 import overwriting
    from enct5.writing import refuse_occupied

    place = overwriting.place(out, overwriting.EXPORTED, model) if overwrite else out
    refuse_occupied(place)
    _load_for(model)
    from enct5 import export as exporting

    with progress.bar("exporting"):
        result = exporting.export(model, place, int8)
    overwriting.replace(out, place, overwriting.EXPORTED)
    _say(f"{model} -> {out}: {result.megabytes:.1f} MB" + (" (int8)" if int8 else ""))
    _say(
        f"logits differ from the model's by {result.mean_difference:.1e} of their size on average, "
        f"at most {result.difference:.1e} (random texts of {len(exporting.SHAPES)} shapes)"
    )


@app.command()
def bench(model: Model) -> None:
    """Measure how fast a model runs here, by every way to run it; the last line is one JSON object."""
    import json

    _load_for(model)
    from enct5 import bench as measuring
    from enct5 import console

    record = measuring.bench(model, _say)
    console.show_speed(record["results"])
    _say(json.dumps(record))


@app.command()
def info(model: Model) -> None:
    """Say what a checkpoint is, and whether it is whole."""
    _load_for(model)
    from enct5 import console, inspection

    with progress.bar("checking"):
        facts = inspection.inspect(model)
    console.show_facts(facts)


@app.command()
def demo(
    out: Annotated[str | None, typer.Option(help="Keep the run folder here; default: a temporary one.")] = None,
) -> None:
    """Train on the bundled messages from the bundled T5, and show what the model makes of new ones."""
    from enct5 import demo as demonstration

    demonstration.run(out, _say)


def _described(error: typer.TyperException) -> str:
    """The error's text in one line, with the value it is about, which typer leaves out."""
    from pydantic import ValidationError

    text = " ".join(getattr(error, "format_message", error.__str__)().split()).rstrip(".").replace("Value error, ", "")
    problems = error.__cause__.errors() if isinstance(error.__cause__, ValidationError) else []
    return text + "".join(f" (given: {show(problem['input'])})" for problem in problems)


def main() -> None:
    """Run the command; a user's mistake ends with one line on stderr and status 2, Ctrl-C with 130."""
    failed = 2
    try:
        status = app(args=sys.argv[1:] or ["--help"], prog_name="enct5", standalone_mode=False)
        sys.stdout.flush()
    except EncT5Error as error:
        message = " ".join(str(error).split())
        failed = 130 if isinstance(error, InterruptedByUserError) else failed
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        message = f"{_described(error)}; see {context.command_path if context else 'enct5'} --help"
    except (KeyboardInterrupt, typer.Abort):
        message, failed = "interrupted", 130
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    else:
        sys.exit(status if isinstance(status, int) else 0)
    if _speaks():
        print(f"enct5: {printable(message)}", file=sys.stderr)
    sys.exit(failed)


if __name__ == "__main__":
    main()
