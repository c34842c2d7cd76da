"""A model that predicts for tables of Arrow, one at a time, as engines for large data hand them out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from enct5.errors import EncT5Error
from enct5.inference import prediction_columns
from enct5.inference.described import text_columns
from enct5.inference.texts import texts_of
from enct5.tasks.base import check_abstention, check_top_k

if TYPE_CHECKING:
    import pyarrow as pa


class BatchPredictor:
    """Predicts for batches of a table, loading the model once: for `map_batches` of Ray Data, and the like.

    Texts are sorted by length within a batch, so give it thousands of rows. The columns that it adds are those that
    `enct5 predict` writes to Parquet; what a batch holds changes none of their types.

    Example:
        >>> dataset.map_batches(
        ...     BatchPredictor, fn_constructor_args=["runs/intents"], batch_format="pyarrow", batch_size=4096,
        ...     compute=ray.data.ActorPoolStrategy(min_size=1, max_size=8), num_gpus=1,
        ... )

    Args:
        model: run folder, another EncT5 checkpoint, an exported model or a name on the hub, readable on every machine.
        text: text column, or two for pairs; by default those of the training.
        abstain_below: give no label where its score is lower (single-label only).
        top_k: with more than 1 also the scores of so many of the likeliest labels, of all with `None`.
        **settings: those of `Predictor.from_pretrained`, such as `device`, `dtype`, `batch_tokens`.

    Raises:
        EncT5Error: when there is no EncT5 model, or for what it cannot do.
    """

    def __init__(
        self,
        model: str,
        text: str | Sequence[str] | None = None,
        abstain_below: float | None = None,
        top_k: int | None = 1,
        **settings: Any,
    ) -> None:
        from enct5.inference.predictor import Predictor

        self.predictor = Predictor.from_pretrained(model, **settings)
        self.text = text_columns(self.predictor, [text] if isinstance(text, str) else text)
        self.abstain_below, self.top_k = abstain_below, top_k
        task, id2label = self.predictor.task, self.predictor.engine.config.id2label
        self._labels = [id2label[index] for index in range(len(id2label))]
        if abstain_below is not None:
            check_abstention(task, abstain_below)
        if top_k != 1:
            check_top_k(task, top_k)

    def __call__(self, table: "pa.Table") -> "pa.Table":
        """Predict for a table.

        Args:
            table: with the text columns, and any others.

        Returns:
            The same rows and columns, and the predictions' behind them; one whose name is taken is `predicted_<name>`.

        Raises:
            EncT5Error: if it lacks the columns, or they hold something else than texts.
        """
        import pyarrow as pa

        if not isinstance(table, pa.Table):
            kind = type(table).__name__
            raise EncT5Error(f'a batch is a {kind}; ask for tables of Arrow: `batch_format="pyarrow"`')
        task, labels, top_k = self.predictor.task, self._labels, self.top_k
        words = all(
            name in table.column_names and pa.types.is_nested(table.schema.field(name).type) for name in self.text
        )
        names = prediction_columns.names(task, labels, top_k, False, table.column_names).values()
        types = prediction_columns.arrow_types(task, labels, top_k, words)
        texts = texts_of(table, self.text, task) if len(table) else []
        rows = prediction_columns.values(self.predictor, texts, labels, self.abstain_below, top_k, False)
        columns = zip(*rows, strict=True) if rows else [[] for _ in types]
        for name, kind, values in zip(names, types, columns, strict=True):
            table = table.append_column(name, pa.array(list(values), kind))
        return table
