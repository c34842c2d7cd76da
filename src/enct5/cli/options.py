"""Arguments that several commands share, and what commands do before they start."""

import os
from typing import Annotated, Literal

import typer

from enct5.errors import printable

Model = Annotated[str, typer.Argument(metavar="MODEL", help="Run folder, another EncT5 checkpoint, or hub id.")]

Data = Annotated[
    str, typer.Argument(metavar="DATA", help="File, folder or pattern of tables, `-`, or hub dataset `name:split`.")
]

Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit of a model on the hub; default: main.")]

Text = Annotated[str | None, typer.Option("--text", help="Text column, or two separated by a comma for pairs.")]
Label = Annotated[str | None, typer.Option("--label", help="Label column.")]

AbstainBelow = Annotated[
    float | None, typer.Option(help="Give no label where its score (0 to 1) is lower; single-label only.")
]

Delimiter = Annotated[
    str | None, typer.Option("--delimiter", help="What separates the fields of CSV; default: found out, and said.")
]
Encoding = Annotated[
    str | None, typer.Option("--encoding", help="Of text files, as Python names it; default: found out, and said.")
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


def speaks() -> bool:
    """Whether this process is the first on its machine, of those that `torchrun` or `accelerate launch` started."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def say(line: str) -> None:
    """Print a line at once."""
    print(printable(line), flush=True)


def columns_of(text: str | None) -> tuple[str, ...] | None:
    """The columns that a user names; one alone may have blanks at its ends, as some files have it."""
    if text is None:
        return None
    if "," not in text:
        return (text,) if text.strip() else ()
    return tuple(part.strip() for part in text.split(",") if part.strip())


def load_for(model: str, revision: str | None = None) -> None:
    """Refuse what can be no model, then import what runs one."""
    from enct5.cli import libraries
    from enct5.model.sources import check_source, prepare_for_hub

    check_source(model, revision)
    prepare_for_hub(model)
    libraries.load()
