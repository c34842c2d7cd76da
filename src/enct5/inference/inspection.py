"""Say what a checkpoint is, and refuse a damaged one."""

import json
from typing import TYPE_CHECKING, Any

from enct5.errors import EncT5Error
from enct5.files.digests import digest
from enct5.files.hub_files import file_of
from enct5.inference.predictor import Predictor
from enct5.model.digests import digests_of_tokenizer
from enct5.model.folder import METRICS
from enct5.tokenization.fast_tokenizer import NO_LIMIT
from enct5.tokenization.unread import examples, percent

if TYPE_CHECKING:
    from enct5.model.configuration_enct5 import EncT5Config


def _decoder(config: "EncT5Config") -> str:
    if config.tasks:
        return "; ".join(f"{name}: {_decoder(config.of_task(name))}" for name in config.task_names)
    if not config.has_decoder:
        return "none: the head reads the encoder's token states"
    fed = "the text's own tokens" if config.decoder_vocab_size is None else f"{config.decoder_vocab_size} prompt(s)"
    return f"{config.num_decoder_layers} layer(s), {fed}"


def _encoder(config: "EncT5Config") -> str:
    read = "" if config.encoder_window is None else f", long texts in windows of {config.encoder_window} tokens"
    return f"{config.num_layers} layers of width {config.d_model}, {config.feed_forward_proj}{read}"


def _of_the_run(source: str) -> dict[str, str]:
    """What a checkpoint's run recorded of its texts, and whether its files are still those that it saved."""
    metrics = file_of(source, METRICS)
    if metrics is None:
        return {}
    facts: dict[str, str] = {}
    try:
        record = json.loads(metrics.read_text(encoding="utf-8"))
        weights, tokenizer = (dict(record.get(f"{part}_sha256", {})) for part in ("weights", "tokenizer"))
        read = record.get("data", {}).get("unread", {}).get("training")
        if read is not None:
            facts["unknown"] = _share_of(read, "unknown_characters", "commonest_unknown")
            if read.get("characters_in_bytes"):
                facts["spelt in bytes"] = _share_of(read, "characters_in_bytes", "commonest_in_bytes")
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise EncT5Error(f"{metrics} is damaged ({error}); get the run folder again") from error
    if weights:
        changed = _changed(source, weights)
        facts["weights"] = "as the run saved them"
        if changed:
            facts["weights"] = f"{', '.join(changed)} changed since the run: damaged, unless you trained on"
    if tokenizer:
        new = digests_of_tokenizer(metrics.parent).keys() - tokenizer.keys()  # it may be read in place of an older one
        changed = [*_changed(source, tokenizer), *sorted(new)]
        facts["tokenizer"] = "as the run saved it"
        if changed:
            facts["tokenizer"] = f"{', '.join(changed)} changed since the run: the model may read texts as other tokens"
    return facts


def _share_of(read: dict[str, Any], count: str, commonest: str) -> str:
    """How many of the training texts' characters, of what a run counted in them, and the commonest of those."""
    shown = examples(read[commonest])
    share = percent(read[count], read["characters"])
    return f"{share} of the training texts' characters{f' ({shown})' if shown else ''}"


def _changed(source: str, saved: dict[str, str]) -> list[str]:
    """The files that are missing or have another content than a run saved."""
    files = {name: file_of(source, name) for name in saved}
    return [name for name, file in files.items() if file is None or digest(file) != saved[name]]


def inspect(source: str) -> dict[str, Any]:
    """Load a checkpoint and describe it.

    Args:
        source: folder or hub id of an EncT5 checkpoint.

    Returns:
        Facts to show, by name.

    Raises:
        EncT5Error: when a part is missing or damaged.
    """
    predictor = Predictor.from_pretrained(source, device="cpu", fold=False)
    engine, config, tokenizer = predictor.engine, predictor.engine.config, predictor.tokenizer
    if (name := engine.damaged_weight()) is not None:
        raise EncT5Error(f"{source}: {name} holds NaN or infinite values; the checkpoint is damaged")
    predictor.logits([["text"] if predictor.task.inputs.takes_words else "text"])  # refuses what is no number
    labels = [config.id2label[index] for index in range(config.num_labels)]
    shown = ", ".join(labels[:20]) + (f" and {len(labels) - 20} more" if len(labels) > 20 else "")
    longest = tokenizer.model_max_length  # transformers' word for "no limit" is a huge number
    cut = f"texts cut to {longest} tokens" if longest < NO_LIMIT else "texts are not cut"
    if predictor.task.inputs.windowed and longest < NO_LIMIT:
        cut = f"texts read in windows of {longest} tokens"
    facts = {
        "model": engine.summary(),
        "task": predictor.task.description,
        "labels": f"{len(labels)}: {shown}",
        "encoder": _encoder(config),
        "decoder": _decoder(config),
        "vocabulary": f"{config.vocab_size} ({type(tokenizer).__name__}, {cut})",
    }
    if (fine_tuned := engine.is_fine_tuned()) is not None:
        facts["fine-tuned"] = "yes" if fine_tuned else "no: train it before use"
    if config.thresholds is not None:
        facts["thresholds"] = f"tuned for each label, {min(config.thresholds):.3f} to {max(config.thresholds):.3f}"
    facts |= _of_the_run(source)
    if (trained := predictor.config) is not None and trained.data is not None:
        columns = f", {' + '.join(trained.text)} -> {trained.label}" if trained.text and trained.label else ""
        facts["trained on"] = trained.data + columns
    return facts
