"""Files of a table as a data set of Ray Data, from which predictions are made and written."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import ray
from ray.data import ActorPoolStrategy, DataContext, Datasource, ReadTask
from ray.data.block import BlockMetadata
from ray.data.checkpoint import CheckpointConfig

from enct5.distributed.batches import BatchPredictor
from enct5.distributed.output import Output
from enct5.distributed.table_files import Asked, Checked, TableFile, check, read, unified
from enct5.errors import EncT5Error

_BATCH_ROWS = 4096
_BLOCK_BYTES = 8 * 2**20  # of rows that are written together, and lost together where a worker is killed


class TableFiles(Datasource):
    """A table's files, each read by a task of its own, with the numbers of its rows.

    Args:
        files: The files, in order.
        checked: What they hold.
        asked: What is wanted of them.
        id_column: The column for the numbers.
    """

    def __init__(self, files: Sequence[TableFile], checked: Sequence[Checked], asked: Asked, id_column: str) -> None:
        super().__init__()
        self._files, self._checked, self._asked, self._id_column = files, checked, asked, id_column
        self._schema = unified([one.schema for one in checked], "the files")

    def get_name(self) -> str:
        """What Ray calls it."""
        return "TableFiles"

    def estimate_inmemory_data_size(self) -> int | None:
        """Nobody knows before they are read."""
        return None

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: DataContext | None = None
    ) -> list[ReadTask]:
        """A task a file."""
        firsts = accumulate((one.rows for one in self._checked), initial=0)
        return [
            ReadTask(
                partial(read, file, self._asked, self._schema, first, self._id_column),
                BlockMetadata(num_rows=one.rows, size_bytes=None, input_files=(file.address,), exec_stats=None),
                per_task_row_limit=per_task_row_limit,
            )
            for file, one, first in zip(self._files, self._checked, firsts, strict=False)
        ]


def checked_files(files: Sequence[TableFile], asked: Asked) -> list[Checked]:
    """Read all files once, as many at a time as there are workers.

    Raises:
        EncT5Error: If one cannot be read, or lacks the columns.
    """
    task = ray.remote(check)
    with_errors = [task.remote(file, asked) for file in files]
    try:
        return list(ray.get(with_errors))
    except ray.exceptions.RayError as error:
        raise told(error) from error


def told(error: BaseException) -> BaseException:
    """The user's mistake that a worker told, or else the error."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, EncT5Error):
            return EncT5Error(str(getattr(seen, "cause", seen)))
        seen = getattr(seen, "cause", None) or seen.__cause__
    return error


def write_predictions(
    source: TableFiles,
    output: Output,
    id_column: str,
    predictor: Mapping[str, Any],
    compute: Any = None,
    resources: Mapping[str, float] | None = None,
) -> None:
    """Predict for all rows whose predictions are not there, and write Parquet.

    Args:
        source: The rows.
        output: Where predictions are written.
        id_column: The column of the rows' numbers.
        predictor: Arguments of `BatchPredictor`.
        compute: A strategy of Ray Data; by default a pool that grows with the cluster.
        resources: What an actor needs, such as `num_gpus`.
    """
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    context = DataContext.get_current().copy()
    context.target_max_block_size = _BLOCK_BYTES
    context.checkpoint_config = CheckpointConfig(
        id_column,
        output.checkpoint,
        override_filesystem=output.filesystem,
        delete_checkpoint_on_success=False,  # it goes once the output is known to be whole
    )
    with DataContext.current(context):
        # Reading and writing ask for no CPU: actors, that of Ray's filter of rows among them, may have all of them, and
        # would wait for ever.
        at_once = max(1, int(ray.cluster_resources().get("CPU", 1)))
        predictions = ray.data.read_datasource(source, num_cpus=0, concurrency=at_once).map_batches(
            BatchPredictor,
            fn_constructor_kwargs=dict(predictor),
            batch_size=_BATCH_ROWS,
            batch_format="pyarrow",
            compute=compute or ActorPoolStrategy(min_size=1),
            **(resources or {}),
        )
        try:
            predictions.write_parquet(output.path, filesystem=output.filesystem, ray_remote_args={"num_cpus": 0})
        except ray.exceptions.RayError as error:
            raise told(error) from error


def check_whole(output: Output, id_column: str, rows: int) -> None:
    """Make sure that each row is there once.

    Raises:
        EncT5Error: If one is lacking, or there twice.
    """
    found = pa.dataset.dataset(output.path, format="parquet", filesystem=output.filesystem)
    times = np.zeros(rows, dtype=np.uint8)
    for batch in found.to_batches(columns=[id_column]):
        np.add.at(times, batch.column(0).to_numpy(zero_copy_only=False), 1)
    if (times != 1).any():
        lacking, doubled = int((times == 0).sum()), int((times > 1).sum())
        raise EncT5Error(
            f"{output.out} lacks {lacking} rows and has {doubled} more than once; delete it and {output.out}.partial, "
            "and start anew"
        )
