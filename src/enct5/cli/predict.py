"""The commands that run a trained model: evaluate, predict, explain, bench, info."""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from enct5 import progress
from enct5.cli.options import (
    AbstainBelow,
    BatchTokens,
    Data,
    Delimiter,
    Device,
    Dtype,
    Encoding,
    Label,
    LabelSeparator,
    Model,
    Quantize,
    Revision,
    Text,
    columns_of,
    load_for,
    say,
)
from enct5.errors import EncT5Error, require, show
from enct5.files.hub_names import with_revision

if TYPE_CHECKING:
    from enct5.inference.shards import Shard


def evaluate(
    model: Model,
    data: Data,
    text: Text = None,
    label: Label = None,
    label_separator: LabelSeparator = None,
    skip_unknown_labels: Annotated[
        bool, typer.Option("--skip-unknown-labels", help="Leave out rows of labels that the model does not know.")
    ] = False,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    abstain_below: AbstainBelow = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the figures to this file.")] = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    quantize: Quantize = None,
    batch_tokens: BatchTokens = None,
    revision: Revision = None,
) -> None:
    """Measure a model on labelled texts; the columns are those it was trained with unless named."""
    from enct5.cli import libraries, tables
    from enct5.data import notes as data_notes
    from enct5.data.data_file import ReadOptions
    from enct5.data.locating import is_local
    from enct5.files.writing import check_file
    from enct5.inference import evaluation
    from enct5.inference.described import described
    from enct5.model.sources import check_source, prepare_for_hub

    if json_file is not None:
        check_file(json_file)
    check_source(model, revision)
    libraries.check_for(model, tables=True)
    known = described(model)
    prepare_for_hub(model, None if is_local(data) else data)
    options = ReadOptions(delimiter, encoding)
    rows = known and evaluation.read_rows(known, data, columns_of(text), label, abstain_below, label_separator, options)
    libraries.load_for(model)
    from enct5.inference.predictor import Predictor

    with progress.bar("loading"):
        predictor = Predictor.from_pretrained(
            model,
            device=device,
            dtype=dtype,
            quantize=quantize,
            batch_tokens=batch_tokens,
            revision=revision,
        )
    predictor.warns_of_unknown = False  # the notes tell
    columns = columns_of(text)
    rows = rows or evaluation.read_rows(predictor, data, columns, label, abstain_below, label_separator, options)
    record = evaluation.evaluate(
        predictor, data, columns, label, abstain_below, label_separator, rows, skip_unknown_labels
    )
    for note in record["notes"]:
        say(data_notes.line(note))
    tables.show_record(record, f"{record['rows']} rows of {record['data']}")
    if json_file is not None:
        evaluation.write_json(record, json_file)
    tables.show_settings(predictor.settings())


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
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    abstain_below: AbstainBelow = None,
    top_k: Annotated[
        int | None, typer.Option(help="Also the scores of the N likeliest labels (not of numbers, nor entities).")
    ] = None,
    all_scores: Annotated[bool, typer.Option("--all-scores", help="Also the scores of all labels.")] = False,
    device: Device = "auto",
    dtype: Dtype = "auto",
    quantize: Quantize = None,
    batch_tokens: BatchTokens = None,
    revision: Revision = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted call for the same --out.")
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Only the rows of shard I of N, from 0/N on; --out is a folder or file name."),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Predict on Ray: `auto` for its cluster here, `local` to start it. --out: a folder."
        ),
    ] = None,
) -> None:
    """Predict for every text: the input's columns and the predictions'."""
    from enct5.cli import libraries, logs, tables
    from enct5.data.data_file import ReadOptions
    from enct5.data.locating import is_local
    from enct5.files.paths import is_text
    from enct5.inference import prediction_file
    from enct5.inference.described import described
    from enct5.model.digests import digest_of_checkpoint
    from enct5.model.sources import check_source, prepare_for_hub
    from enct5.tasks.base import check_abstention, check_top_k

    logs.say_aside()
    most = _most(top_k, all_scores)
    if ray is not None:
        options = ReadOptions(delimiter, encoding)
        settings = {"device": device, "dtype": dtype, "quantize": quantize, "batch_tokens": batch_tokens}
        wanted = {"text": columns_of(text), "abstain_below": abstain_below, "top_k": most, "resume": resume}
        check_source(model, revision)
        _on_ray(ray, model, data, second or shard, out, options=options, revision=revision, **wanted, **settings)
        return
    part = _shard(shard, data, out)
    check_source(model, revision)
    known = described(model)
    if known is not None and abstain_below is not None:
        check_abstention(known.task, abstain_below)
    if known is not None and most != 1:
        check_top_k(known.task, most)
    one = second is not None or (text is None and is_text(data) and not is_local(data))
    libraries.check_for(model, tables=not one)
    if second is not None and is_local(data) and is_local(second):
        raise EncT5Error(f"{data} and {second} are two files; write `{data},{second}`, or a pattern between quotes")
    if one and (out is not None or text is not None or resume):
        raise EncT5Error(
            f"{show(data)} is one text, whose result is shown here; leave out --out, --text, --resume and --shard"
        )
    if one and known is not None and known.config is not None:
        known.config.check_pairs(second is not None)
    prediction_file.check_output(out, data, part)
    prepare_for_hub(model, None if one or is_local(data) else data)
    options = ReadOptions(delimiter, encoding)
    rows = None if one else known and prediction_file.read_rows(known, data, columns_of(text), options, part)
    libraries.load_for(model)
    from enct5.inference.predictor import Predictor

    with progress.bar("loading"):
        predictor = Predictor.from_pretrained(
            model,
            device=device,
            dtype=dtype,
            quantize=quantize,
            batch_tokens=batch_tokens,
            revision=revision,
        )
    if one:
        ((result, best),) = predictor.scored([data if second is None else (data, second)], abstain_below, most)
        tables.show_prediction(result, best)
        return
    run = {}
    if out is not None and data != prediction_file.STDIN:  # what can be resumed
        run = {
            "model": digest_of_checkpoint(model, revision=revision),
            "quantize": quantize,
            "dtype": predictor.settings().get("dtype"),
            "delimiter": delimiter,
            "encoding": encoding,
        }
    rows = rows or prediction_file.read_rows(predictor, data, columns_of(text), options, part)
    asked = prediction_file.Asked(abstain_below, most, run)
    prediction_file.predict_table(predictor, data, columns_of(text), out, asked, resume, rows)
    if out is not None:
        tables.show_settings(predictor.settings())


def _most(top_k: int | None, all_scores: bool) -> int | None:
    """How many of the likeliest labels are told; `None` for all."""
    if all_scores and top_k is not None:
        raise EncT5Error("--top-k and --all-scores do not go together; leave out one of them")
    return None if all_scores else 1 if top_k is None else top_k


def _on_ray(address: str, model: str, data: str, other: str | None, out: Path | None, **asked: Any) -> None:
    """Predict for files on a cluster of Ray."""
    if out is None or other is not None:
        raise EncT5Error("--ray is for DATA of files and --out, a folder; name both, without SECOND and --shard")
    require("ray", "ray", "--ray")
    from enct5.cli.cluster import connected
    from enct5.distributed.dataset import predict_dataset

    with connected(address):
        rows = predict_dataset(
            model, data, _written(out), **{n: v for n, v in asked.items() if v is not None or n == "top_k"}
        )
    print(f"{rows} predictions are in {_written(out)}", file=sys.stderr)


def _written(out: Path) -> str:
    """An output as the user wrote it: a path has but one slash behind a URL's colon."""
    return re.sub(r"^([a-z][a-z0-9+.-]+):/(?!/)", r"\1://", str(out))


def _shard(written: str | None, data: str, out: Path | None) -> "Shard | None":
    """The shard that a user names, of what has shards."""
    from enct5.inference.prediction_file import STDIN
    from enct5.inference.shards import Shard

    if written is None:
        return None
    if out is None or data == STDIN:
        raise EncT5Error("--shard is for the rows of files or of a hub dataset, and for --out; name both")
    return Shard.read(written)


def explain(
    model: Model,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The text.")],
    second: Annotated[str | None, typer.Argument(metavar="SECOND", help="The second text of a pair.")] = None,
    label: Annotated[
        str | None, typer.Option("--label", help="Label to explain; default: those predicted, at most 5.")
    ] = None,
    task: Annotated[str | None, typer.Option("--task", help="Of a model of several tasks: the one to explain.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Also write a page to this file.")] = None,
    revision: Revision = None,
) -> None:
    """Show which words moved a prediction, and which were attended to."""
    from enct5.files.writing import check_file

    if html is not None:
        check_file(html)
        require("jinja2", "report", "--html")
    model = load_for(model, revision)
    from enct5.cli import tables
    from enct5.inference.predictor import Predictor
    from enct5.reports import explanation_page

    with progress.bar("explaining"):
        predictor = Predictor.from_pretrained(model)
        explanation = predictor.explain(text if second is None else (text, second), label, task)
    tables.show_explanation(explanation)
    if html is not None:
        explanation_page.write(explanation, html)
        say(f"page: {html}")


def bench(model: Model, revision: Revision = None) -> None:
    """Measure how fast a model runs here, by every way to run it; the last line is one JSON object."""
    import json

    model = load_for(model, revision)
    from enct5.cli import tables
    from enct5.inference import bench

    record = bench.bench(model)
    tables.show_speed(record["results"])
    say(json.dumps(record))


def info(model: Model, revision: Revision = None) -> None:
    """Say what a checkpoint is, and whether it is whole."""
    from enct5.cli import libraries, tables
    from enct5.model.sources import check_source, prepare_for_hub

    check_source(model, revision)
    libraries.check_for(model)
    prepare_for_hub(model)
    libraries.load_for(model)
    from enct5.inference import inspection

    with progress.bar("checking"):
        facts = inspection.inspect(with_revision(model, revision))
    tables.show_facts(facts)
