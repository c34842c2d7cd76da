"""Runs of one encoder joined into a folder of all their tasks."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from enct5.errors import EncT5Error, show
from enct5.files.writing import atomic_folder, disk_full_as_error, refuse_occupied
from enct5.model.digests import digests_of_tokenizer, digests_of_weights
from enct5.model.folder import METRICS, TRAIN_CONFIG, ancestry_of, public_name
from enct5.model.joining import Task, joined, tasks_of
from enct5.model.loading import load_model, load_tokenizer
from enct5.model.modeling_enct5_tasks import EncT5ForTasks
from enct5.model.sources import check_source
from enct5.model.task_records import recorded_tasks
from enct5.model.trained_on import TrainedOn
from enct5.reports import task_pages
from enct5.tasks.multi_task import MultiTask
from enct5.version import __version__

logger = logging.getLogger(__name__)


def merge(runs: Sequence[str], out: Path) -> EncT5ForTasks:
    """Join models whose encoders are equal to the last bit, and write the folder `out`.

    Args:
        runs: folders or hub ids, each perhaps behind the name of its task: `NAME=FOLDER`.
        out: folder to create; appears whole or not at all.

    Returns:
        The model of all tasks.

    Raises:
        EncT5Error: for encoders or tokenizers that differ, tasks of one name, or an `out` that holds files.
    """
    refuse_occupied(out, "choose another folder, or delete it")
    named = [_named(run) for run in runs]
    sources = [source for _, source in named]
    groups = [tasks_of(load_model(source, "float32"), source, name) for name, source in named]
    tokenizers = [load_tokenizer(source) for source in sources]
    for source, other in zip(sources, tokenizers, strict=True):
        if other.get_vocab() != tokenizers[0].get_vocab():
            raise EncT5Error(f"{source} has another tokenizer than {sources[0]}; tasks share one")
    text = _text_columns(sources)
    model = joined(groups)
    MultiTask.of_values(model.config.tasks)  # refuses results of one name
    tokenizers[0].model_max_length = _longest(sources, groups, [own.model_max_length for own in tokenizers])
    records = {
        name: record
        for source, group in zip(sources, groups, strict=True)
        for name, record in recorded_tasks(source, list(group)).items()
    }
    with disk_full_as_error(out, "make room"), atomic_folder(out) as folder:
        model.save_pretrained(folder)
        tokenizers[0].save_pretrained(folder)
        record: dict[str, Any] = {
            "task": "multi_task",
            "merged": [public_name(source) for source in sources],
            "origin": ancestry_of(sources[0]).origin,
            "tasks": records,
            "parameters": model.num_parameters(),
            "weights_sha256": digests_of_weights(folder),
            "tokenizer_sha256": digests_of_tokenizer(folder),
            "versions": {"enct5": __version__},
        }
        (folder / METRICS).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        if text:
            (folder / TRAIN_CONFIG).write_text(f"text: {json.dumps(list(text))}\n", encoding="utf-8")
        task_pages.write_merged_card(record, model.config.tasks, len(text) == 2, folder)
    return model


def _named(run: str) -> tuple[str | None, str]:
    name, separator, source = run.partition("=")
    if not separator:
        name, source = "", run
    check_source(source)
    return name or None, source


def _longest(sources: Sequence[str], groups: Sequence[Mapping[str, Task]], lengths: Sequence[int]) -> int:
    """Most tokens that all of them read of a text; what tags tokens alone reads windows, and is not asked."""
    reads = [any(model.config.decoder_vocab_size is not None for model, _ in group.values()) for group in groups]
    asked = {source: own for source, own, reader in zip(sources, lengths, reads, strict=True) if reader}
    longest = min(asked.values(), default=max(lengths))
    if len(set(asked.values())) > 1:
        listed = ", ".join(f"{source} {own:,}" for source, own in asked.items())
        logger.warning(f"all tasks read at most {longest:,} tokens of a text, though they were trained with {listed}")
    return longest


def _text_columns(sources: Sequence[str]) -> tuple[str, ...]:
    """The text columns of all, as far as they are known.

    Raises:
        EncT5Error: where some read texts and others pairs.
    """
    columns = {source: text for source in sources if (text := TrainedOn.of(source).text)}
    if len({len(text) for text in columns.values()}) > 1:
        listed = ", ".join(f"{source} {show(list(text))}" for source, text in columns.items())
        raise EncT5Error(f"some of the models read single texts and others pairs: {listed}")
    return next(iter(columns.values()), ())
