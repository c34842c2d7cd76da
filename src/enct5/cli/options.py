"""Arguments that several commands share, and what commands do before they start."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from enct5 import progress
from enct5.errors import EncT5Error, printable
from enct5.files.hub_names import with_revision

if TYPE_CHECKING:
    from enct5.model.publishing import Repository

Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="Run folder, another EncT5 checkpoint, or hub id `name[@revision]`.")
]

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA", help="File, folder or pattern of tables, `-`, or hub dataset `name[@revision]:split`."
    ),
]

Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit of a model on the hub; default: main.")]

PushToHub = Annotated[
    str | None,
    typer.Option(
        "--push-to-hub", metavar="NAME", help="Also upload the model to this repository of the hub, `owner/name`."
    ),
]
Private = Annotated[
    bool, typer.Option("--private", help="Make the repository of --push-to-hub a private one, if there is none yet.")
]

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


def repository_of(push_to_hub: str | None, private: bool) -> "Repository | None":
    """Where a command is to push its model, if anywhere."""
    from enct5.model.publishing import Repository

    if push_to_hub is None and private:
        raise EncT5Error("--private is for the repository of --push-to-hub; give both, or leave it out")
    return None if push_to_hub is None else Repository(push_to_hub, private)


def push(repository: "Repository", folder: Path) -> None:
    """Push a model, and say where it is."""
    with progress.bar("pushing"):
        address = repository.push(folder)
    say(f"pushed: {address}")


def load_for(model: str, revision: str | None = None, push_to_hub: str | None = None, extra: str = "predict") -> str:
    """Refuse what can be no model, then import what runs one; return the model's name with its revision."""
    from enct5.cli import libraries
    from enct5.model.sources import check_source, prepare_for_hub

    check_source(model, revision)
    prepare_for_hub(model, push_to_hub)
    libraries.load(extra)
    return with_revision(model, revision)
