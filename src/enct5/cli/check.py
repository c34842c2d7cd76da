"""`enct5 check`: what is odd about data, before anything is trained on it."""

from pathlib import Path
from typing import Annotated

import typer

from enct5 import progress
from enct5.cli.options import Data, Delimiter, Encoding, LabelSeparator, columns_of, say
from enct5.errors import EncT5Error


def check(
    data: Data,
    text: Annotated[str, typer.Option("--text", help="Text column, or two separated by a comma for pairs.")],
    label: Annotated[str, typer.Option("--label", help="Label column.")],
    eval: Annotated[
        str | None, typer.Option("--eval", help="Evaluation data; are its texts among those of DATA?")
    ] = None,
    task: Annotated[str, typer.Option(help="single, multi, regression or tokens; auto: by the label column.")] = "auto",
    label_separator: LabelSeparator = None,
    delimiter: Delimiter = None,
    encoding: Encoding = None,
    skip_unknown_labels: Annotated[
        bool, typer.Option("--skip-unknown-labels", help="Leave out rows of --eval whose labels DATA lacks.")
    ] = False,
    base: Annotated[
        str, typer.Option(help="Checkpoint to train from, whose tokenizer counts: folder, hub id, or `bundled`.")
    ] = "bundled",
    max_length: Annotated[
        int | None, typer.Option(min=2, help="Most tokens read of a text; default: as training has it.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Also write a page with the rows to look at.")] = None,
    fix: Annotated[
        Path | None,
        typer.Option(
            "--fix",
            help="Write a cleaned copy to a new file (.csv, .tsv, .jsonl or .parquet): without rows that lack text or "
            "label, or repeat both of an earlier one; doubtful rows are marked, nothing is changed.",
        ),
    ] = None,
) -> None:
    """Tell what is odd about labelled texts before training: lengths, labels, copies, likely mistakes, leakage.

    The status is 2 where training would refuse the data.
    """
    from enct5.extras import need

    need("train", "`enct5 check`")
    from enct5.assets import BUNDLED
    from enct5.checking import examination, table
    from enct5.cli import libraries, tables
    from enct5.model.sources import prepare_for_hub
    from enct5.runs import settings_of

    examination.check_outputs(html, fix)
    config = settings_of(
        data,
        None,
        eval,
        text=columns_of(text),
        label=label,
        task=task,
        label_separator=label_separator,
        delimiter=delimiter,
        encoding=encoding,
        skip_unknown_labels=skip_unknown_labels,
        base=base,
        max_length=max_length,
    )
    examination.check_settings(config)
    prepare_for_hub(None if base == BUNDLED else base, data, eval)
    rows = table.read(config)
    libraries.load()
    with progress.bar("checking"):
        report = examination.examine(rows, html, fix)
    tables.show_check(report)
    if html is not None:
        say(f"page: {html}")
    if fix is not None:
        say(f"cleaned copy: {fix}, {report.copy}")
    if report.refusal is not None:
        raise EncT5Error(report.refusal)
