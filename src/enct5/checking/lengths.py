"""How long texts are, and what of them a base's tokenizer does not know. Imports torch with the tokenizer."""

import numpy as np
import numpy.typing as npt

from enct5.assets import BUNDLED, bundled_t5
from enct5.checking.records import record, shown
from enct5.checking.report import Finding
from enct5.checking.table import CheckedTable
from enct5.data.notes import in_rows
from enct5.errors import EncT5Error
from enct5.tokenization.unread import Unread
from enct5.training.data import notes_on_reading

Lengths = npt.NDArray[np.int64]


def measure(table: CheckedTable) -> tuple[dict[str, Lengths], list[Finding], EncT5Error | None]:
    """Tokenise texts as training does, whole.

    Args:
        table: The table.

    Returns:
        The length of each text, in characters and in tokens; what is odd; and what training refuses the texts for.

    Raises:
        EncT5Error: If the base is none to train from, or settings do not suit the task.
    """
    from enct5.model.conversion import read_t5_config
    from enct5.model.loading import load_tokenizer
    from enct5.training.dataset import tokenize
    from enct5.training.defaults import with_lengths
    from enct5.training.model_init import is_enct5

    task, labelled = table.task, table.labelled
    base = str(bundled_t5()) if table.config.base == BUNDLED else table.config.base
    if not is_enct5(base):
        read_t5_config(base)
    config, tokenizer = with_lengths(table.config, task, base), load_tokenizer(base)
    rows, unread = tokenize(labelled.texts, tokenizer, None, inputs=task.inputs)
    lengths = {
        "characters": np.array([len(shown(text)) for text in labelled.texts]),
        "tokens": np.array(rows["length"][:]),
    }
    of_evaluation = Unread()
    if table.evaluation is not None:
        _, of_evaluation = tokenize(table.evaluation.texts, tokenizer, None, inputs=task.inputs)
    findings, refusal = _too_long(table, lengths["tokens"], config.max_length or 0), None
    try:
        findings += [Finding("note", said) for said in notes_on_reading(config, unread, of_evaluation)]
    except EncT5Error as error:
        refusal = error
    return lengths, findings, refusal


def _too_long(table: CheckedTable, tokens: Lengths, longest: int) -> list[Finding]:
    places = np.flatnonzero(tokens > longest).tolist()
    if not places:
        return []
    rows = [table.rows[place] for place in places]
    fate = "read in overlapping windows" if table.task.inputs.windowed else "cut"
    said = f"{in_rows(rows)} of more than {longest:,} tokens would be {fate} (--max-length)"
    records = [record(table, place, {"Tokens": int(tokens[place])}) for place in places]
    return [Finding("long_texts", said, [row + 1 for row in rows], records)]


def summary(lengths: Lengths) -> dict[str, int]:
    """Median, 95th percentile and longest."""
    return {
        "median": int(np.median(lengths)),
        "percentile_95": int(np.percentile(lengths, 95, method="higher")),
        "longest": int(lengths.max()),
    }
