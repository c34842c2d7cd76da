"""Predict for all rows of files on a cluster of Ray, however often it or this process is killed."""

from collections.abc import Sequence
from typing import Any

from enct5.data.data_file import ReadOptions
from enct5.distributed.output import Output
from enct5.distributed.table_files import Asked, digest_of, find_files
from enct5.errors import EncT5Error, require, show
from enct5.inference.described import described, text_columns
from enct5.model.sources import anywhere
from enct5.version import __version__


def predict_dataset(  # noqa: PLR0913  # settings by name
    model: str,
    source: str,
    out: str,
    *,
    text: str | Sequence[str] | None = None,
    id_column: str = "row_id",
    abstain_below: float | None = None,
    top_k: int | None = 1,
    resume: bool = False,
    options: ReadOptions | None = None,
    compute: Any = None,
    num_cpus: float | None = None,
    num_gpus: float | None = None,
    **settings: Any,
) -> int:
    """Predict for files by Ray Data, and write the columns that `enct5 predict` writes, as Parquet.

    All files are read and checked first. The output's files are in no order, so that each row has its number in the
    table, from 0 on: sort by it. Rows whose predictions are written are not predicted again by a call that resumes;
    at the end each row is known to be there once, and `_SUCCESS` lies beside the files.

    Args:
        model: as for `BatchPredictor`.
        source: files that every machine reads: a file, folder or pattern, or several files separated by commas; or a
            file, folder or pattern behind a URL of fsspec, such as `s3://bucket/folder`.
        out: the folder, or a URL of one.
        text: text column, or two for pairs; by default those of the training.
        id_column: the column of the rows' numbers.
        abstain_below: as for `BatchPredictor`.
        top_k: likewise.
        resume: go on with an interrupted call for the same output, if there is one.
        options: what is said of text files.
        compute: a strategy of Ray Data; by default a pool of actors that grows with the cluster.
        num_cpus: those of an actor; by default 1, and as many threads.
        num_gpus: those of an actor; by default 1 where the cluster has any and `device` does not say otherwise.
        **settings: those of `Predictor.from_pretrained`.

    Returns:
        The number of rows.

    Raises:
        EncT5Error: for what cannot be read, predicted or written, or is not to be gone on with.
    """
    require("ray", "ray", "--ray")
    import ray

    from enct5.distributed import ray_data
    from enct5.model.digests import digest_of_checkpoint

    output = Output(out)
    columns = [text] if isinstance(text, str) else text
    known: Any = described(model)
    if known is None:
        from enct5.inference.predictor import Predictor

        known = Predictor.from_pretrained(model, **settings)
    asked = Asked(text_columns(known, columns), known.task.inputs.takes_words, options or ReadOptions())
    files = find_files(source)
    checked = ray_data.checked_files(files, asked)
    rows = sum(one.rows for one in checked)
    if taken := [one for one in checked if id_column in one.schema.names]:
        names = ", ".join(taken[0].schema.names[:20])
        raise EncT5Error(
            f"{source} has a column {show(id_column)} ({names}); name another for rows' numbers: `id_column`"
        )
    asked_for = {
        "version of enct5": __version__,
        "model": digest_of_checkpoint(model, **{name: settings[name] for name in ("revision",) if settings.get(name)}),
        "settings": {name: str(value) for name, value in sorted(settings.items()) if name not in ("token", "device")},
        "content of the data": digest_of(checked),
        "text": list(asked.text),
        "delimiter": asked.options.delimiter,
        "encoding": asked.options.encoding,
        "abstain_below": abstain_below,
        "top_k": top_k,
        "id_column": id_column,
    }
    if num_gpus is None and settings.get("device", "auto") in ("auto", "cuda"):
        num_gpus = 1 if ray.cluster_resources().get("GPU") else None
    resources = {name: value for name, value in (("num_cpus", num_cpus), ("num_gpus", num_gpus)) if value is not None}
    arguments = {
        "model": anywhere(model),
        "text": asked.text,
        "abstain_below": abstain_below,
        "top_k": top_k,
    }
    with output.written(asked_for, resume) as there_already:
        if not there_already:
            table = ray_data.TableFiles(files, checked, asked, id_column)
            ray_data.write_predictions(table, output, id_column, {**arguments, **settings}, compute, resources)
            ray_data.check_whole(output, id_column, rows)
    return rows
