"""`enct5 convert`, `enct5 merge` and `enct5 export`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from enct5 import progress
from enct5.cli.options import Model, Private, PushToHub, Revision, load_for, push, repository_of, say


def convert(
    base: Annotated[
        str,
        typer.Argument(metavar="BASE", help="T5, v1.1, Flan, ByT5, mT5 or umT5: folder or hub id `name[@revision]`."),
    ],
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
    revision: Revision = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the converted model in OUT, when the new one is complete.")
    ] = False,
    push_to_hub: PushToHub = None,
    private: Private = False,
) -> None:
    """Make an EncT5 checkpoint of a T5 one, to be fine-tuned before use."""
    from enct5.files.writing import refuse_occupied
    from enct5.model import overwriting
    from enct5.tasks.registry import find_task

    repository = repository_of(push_to_hub, private)
    place = overwriting.place(out, overwriting.CONVERTED, base) if overwrite else out
    refuse_occupied(place)
    if problem_type is not None:
        problem_type = find_task(problem_type).name
    base = load_for(base, revision, push_to_hub, extra="train")
    if repository is not None:
        repository.check()
        repository.open()
    from enct5.cli import conversion

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
    say(f"{base} -> {out}: {result.model.num_parameters() / 1e6:.1f}M parameters")
    say(f"copied and compared with the file: {len(result.copied)} tensors")
    say(f"new, to be fine-tuned before use: {', '.join(result.new)}")
    say(f"not used by EncT5: {len(result.unused)} tensors" + (f", such as {result.unused[0]}" if result.unused else ""))
    if repository is not None:
        push(repository, out)


def merge(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="[NAME=]MODEL ...", help="Models of one encoder, as --freeze-encoder keeps it."),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder to create.")],
) -> None:
    """Join models that share one encoder into one of all their tasks, which encodes a text once."""
    from enct5.files.writing import refuse_occupied

    refuse_occupied(out, "choose another folder, or delete it")
    for run in runs:
        load_for(run.rpartition("=")[2], extra="train")
    from enct5.cli import merging

    with progress.bar("merging"):
        model = merging.merge(runs, out)
    say(f"{out}: {', '.join(model.config.task_names)}; {model.num_parameters() / 1e6:.1f}M parameters")


def export(
    model: Model,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to create.")],
    file_format: Annotated[Literal["onnx"], typer.Option("--format", help="Of the model file.")] = "onnx",
    int8: Annotated[
        bool, typer.Option("--int8", help="Matrix products of 8-bit numbers: smaller, faster, approximate.")
    ] = False,
    revision: Revision = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the exported model in OUT, when the new one is complete.")
    ] = False,
) -> None:
    """Write a model for ONNX Runtime; `predict` and `evaluate` take the folder, too."""
    from enct5.files.writing import refuse_occupied
    from enct5.model import overwriting

    place = overwriting.place(out, overwriting.EXPORTED, model) if overwrite else out
    refuse_occupied(place)
    model = load_for(model, revision, extra="onnx")
    from enct5.export import onnx

    with progress.bar("exporting"):
        result = onnx.export(model, place, int8)
    overwriting.replace(out, place, overwriting.EXPORTED)
    say(f"{model} -> {out}: {result.megabytes:.1f} MB" + (" (int8)" if int8 else ""))
    say(
        f"logits differ from the model's by {result.mean_difference:.1e} of their size on average, "
        f"at most {result.difference:.1e} (random texts of {len(onnx.SHAPES)} shapes)"
    )
