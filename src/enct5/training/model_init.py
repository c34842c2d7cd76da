"""The model that a training run starts from: made of T5, or an EncT5 checkpoint with a head that fits the labels."""

import re
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, cast

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import PreTrainedTokenizerBase, set_seed

from enct5.errors import EncT5Error, first_line
from enct5.files.hub_names import on_hub
from enct5.model.configuration_enct5 import EncT5Config
from enct5.model.conversion import convert, start_prompts
from enct5.model.modeling_enct5 import (
    PROMPTS,
    EncT5ForClassification,
    EncT5PreTrainedModel,
    check_stored_dtypes,
)
from enct5.model.modeling_enct5_tasks import class_of_task
from enct5.model.rescaling import rescale_outputs
from enct5.model.vocabularies import check_tokenizer
from enct5.tasks.base import Task
from enct5.tasks.registry import TASKS
from enct5.training.config import TrainConfig
from enct5.training.data import TrainingData
from enct5.training.label_prompts import are_untrained, start_from_words
from enct5.training.linear_start import start_as_linear_fit

if TYPE_CHECKING:
    from sklearn.preprocessing import StandardScaler

# Tensors whose shape follows from the labels; they may start anew where the base has others.
_MADE_FOR_LABELS = ("classifier.", "transformer.decoder.embed_tokens.")
# What a base may have been trained with; the new run's settings decide.
_OF_A_RUN = ("token_decoder", "encoder_window", "label_parts", "loss", "loss_gamma", "class_weights", "thresholds")

# In the configuration of a T5 whose decoder has learned to tell a text's vector from `<pad>` alone, as EncT5 starts it.
_READS_WITH_PAD = "decoder_reads_with_pad"
# What is left, in an untrained decoder, of the queries, so that no token is read much more than another, and of what
# the feed-forward layer adds.
_LEFT = 0.1


def new_model(
    config: TrainConfig,
    base: str,
    tokenizer: PreTrainedTokenizerBase,
    prepared: TrainingData,
    build: Callable[..., EncT5ForClassification],
) -> EncT5ForClassification:
    """The model that training starts from; always the same for the same seed.

    Args:
        config: the run's settings.
        base: folder or hub id.
        tokenizer: the base's.
        prepared: the run's data.
        build: `build_model`, or what takes its arguments and gives another model.

    Raises:
        EncT5Error: as `build_model`, and for a tokenizer that gives ids beyond the base's embedding.
    """
    set_seed(config.seed)
    model = build(
        base,
        prepared.task,
        prepared.label_names,
        prepared.scaler,
        loss=config.loss,
        class_weights=prepared.class_weights,
        as_mean=not config.lora,  # an adapter is for the base as it is
        token_decoder=config.token_decoder,
        encoder_window=None if prepared.task.inputs.windowed else config.window or None,
    )
    check_tokenizer(tokenizer, model.config.vocab_size)
    chosen = config.label_prompts is not None or config.label_descriptions is not None
    if prepared.prompt_texts is not None and (chosen or are_untrained(model)):
        start_from_words(model, tokenizer, prepared.prompt_texts)
    # With a teacher the labels of the rows are numbers of what it says, and nothing that a head could give.
    if prepared.teaching is None and not model.is_fine_tuned():
        start_as_linear_fit(model, prepared, tokenizer.pad_token_id, config.seed)
    return model


def build_model(
    base: str,
    task: Task,
    label_names: list[str],
    scaler: "StandardScaler | None" = None,
    *,
    as_mean: bool = True,
    **overrides: Any,
) -> EncT5ForClassification:
    """A model for the labels: converted from T5, or an EncT5 checkpoint with a head that fits.

    Args:
        base: folder or hub id.
        task: what is to be learned.
        label_names: names of the outputs, in id order.
        scaler: what standardises the targets the model is to be trained on, where they have a unit.
        as_mean: whether a decoder that is made for writing starts near a mean over the tokens (see `start_as_mean`).
        overrides: further keys of `EncT5Config`; `dropout_rate` is the base's, or 0 where the task does not bear it.

    Raises:
        EncT5Error: for a base that cannot be loaded or converted, or keys that do not fit the task.
    """
    id2label = dict(enumerate(label_names))
    stored = stored_config(base)
    overrides = {"dropout_rate": encoder_dropout(stored, [task]), **overrides}
    if _is_enct5(stored):
        stored, renamed = _one_of_several(stored, task, label_names)
        model, decoder_is_trained = _refit(base, stored, task, id2label, scaler, overrides, renamed)
    else:
        model = convert(base, problem_type=task.name, id2label=id2label, **overrides).model
        decoder_is_trained = bool(stored.get(_READS_WITH_PAD, False))
    if as_mean and not decoder_is_trained:
        start_as_mean(model)
    return model


def encoder_dropout(stored: dict[str, Any], tasks: Collection[Task]) -> float:
    """The `dropout_rate` of an encoder that tasks share: the base's own, or 0 where none of them bears dropout.

    Args:
        stored: what the base's config.json says; where that base was made for such tasks alone, its own is T5's.
        tasks: what is to be learned.
    """
    default = EncT5Config().dropout_rate
    if not any(task.bears_dropout for task in tasks):
        return 0.0
    before = [TASKS.get(one.get("problem_type", "")) for one in stored.get("tasks") or [stored]]
    if not any(task is None or task.bears_dropout for task in before):
        return default
    return stored.get("dropout_rate", default)


def is_enct5(base: str) -> bool:
    """Whether a folder or hub id is an EncT5 checkpoint, trained or not, rather than a T5."""
    return _is_enct5(stored_config(base))


def _is_enct5(stored: dict[str, Any]) -> bool:
    return stored.get("model_type") == EncT5Config.model_type


def stored_config(base: str) -> dict[str, Any]:
    """What a folder's or hub id's config.json says; nothing where there is none."""
    name, places = on_hub(base)
    try:
        return EncT5Config.get_config_dict(name, **places)[0]
    except OSError:
        return {}  # `convert` says what is wrong with the folder


def _refit(
    base: str,
    stored: dict[str, Any],
    task: Task,
    id2label: dict[int, str],
    scaler: "StandardScaler | None",
    overrides: dict[str, Any],
    renamed: dict[str, str],
) -> tuple[EncT5ForClassification, bool]:
    """An EncT5 checkpoint with a head that fits, and whether its decoder was ever trained (where one can tell)."""
    if stored.get("quantization_config"):
        raise EncT5Error(f"{base} is quantised, which cannot be trained; start from the model it was made of")
    same_task = stored.get("problem_type") == task.name
    values = {
        key: value for key, value in stored.items() if key not in ("num_labels", "decoder_vocab_size", *_OF_A_RUN)
    }
    values |= {
        "problem_type": task.name,
        "id2label": id2label,
        "label2id": {name: index for index, name in id2label.items()},
        # New prompts of labels come in no order that a position bias could stand for.
        "prompt_position_bias": (same_task or not task.prompt_per_label) and stored.get("prompt_position_bias", True),
        **overrides,
    }
    try:
        config = EncT5Config.from_dict(values)
    except (StrictDataclassError, ValueError, TypeError) as error:
        raise EncT5Error(f"{first_line(error)} (base: {base})") from error
    load: Any = EncT5PreTrainedModel.from_pretrained  # its classes' own warn of a head that is yet to be trained
    source, places = on_hub(base)
    try:
        model, info = load.__func__(
            class_of_task(config),
            source,
            config=config,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **places,
            **({"key_mapping": renamed} if renamed else {}),
        )
        check_stored_dtypes(source, info["unexpected_keys"], **places)
    except Exception as error:  # transformers raises whatever the damage leads to
        raise EncT5Error(f"cannot load {base}: {first_line(error)}") from error
    drawn = [key if isinstance(key, str) else key[0] for key in (*info["missing_keys"], *info["mismatched_keys"])]
    damaged = sorted(name for name in drawn if not name.startswith(_MADE_FOR_LABELS))
    if damaged and not EncT5Config.from_dict(stored).has_decoder:
        raise EncT5Error(f"{base} tags tokens without a decoder, which this task needs; start from its T5 instead")
    if damaged:
        raise EncT5Error(f"the weights of {base} lack {damaged[0]} or hold it in another shape; get the model again")
    if model.is_fine_tuned() and not (same_task and _same_outputs(stored, list(id2label.values()), task)):
        drawn += _start_head(model)
        if task.prompt_per_label:
            drawn.append(PROMPTS)
    if any(name == PROMPTS for name in drawn):
        start_prompts(model)
    if scaler is not None and same_task and model.is_fine_tuned():
        # It predicts in its user's unit: back into that of training, which these targets define.
        rescale_outputs(model, 1 / scaler.scale_, -scaler.mean_ / scaler.scale_)
    # The prompts of a T5's decoder that was never trained are still `<pad>`'s; new ones tell nothing.
    has_own_prompts = model.config.decoder_vocab_size is not None and PROMPTS not in drawn
    head_is_new = any(name != PROMPTS for name in drawn)
    untrained = are_untrained(model) if head_is_new and has_own_prompts else not drawn and not model.is_fine_tuned()
    return model, not untrained


def _one_of_several(
    stored: dict[str, Any], task: Task, label_names: list[str]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Of a checkpoint of several tasks the configuration of one, and its tensors' names as those of that task alone.

    It is the task with the same labels, if there is one, or else the first whose decoder can be one's start.
    """
    if not stored.get("tasks"):
        return stored, {}
    config = EncT5Config.from_dict(stored)
    own = {name: config.of_task(name) for name in config.task_names}
    same = [
        name
        for name, one in own.items()
        if one.problem_type == task.name and [one.id2label[index] for index in range(one.num_labels)] == label_names
    ]
    readers = [name for name, one in own.items() if one.decoder_vocab_size is not None]
    name = next(iter([*same, *readers, *own]))
    part = rf"^readers\.task_{re.escape(name)}\."
    return own[name].to_dict(), {rf"{part}decoder\.": "transformer.decoder.", rf"{part}classifier\.": "classifier."}


def _same_outputs(stored: dict[str, Any], label_names: list[str], task: Task) -> bool:
    """Whether a checkpoint's outputs mean what the new ones do, as far as their names tell."""
    names = [name for _, name in sorted((stored.get("id2label") or {}).items(), key=lambda item: int(item[0]))]
    unnamed = all(name == f"LABEL_{number}" for number, name in enumerate(names))
    return unnamed or names == label_names or task.fit_scaler is not None  # targets have one name for any unit


def _start_head(model: EncT5ForClassification) -> list[str]:
    """Give the model a new head; return the names of its tensors."""
    model.classifier = model.head_class(cast("EncT5Config", model.config))
    model._init_weights(model.classifier)
    return [f"classifier.{name}" for name, _ in model.classifier.named_parameters()]


@torch.no_grad()
def start_as_mean(model: EncT5ForClassification) -> None:
    """Start the prompts' states near a mean over the encoder's states, turned but not squeezed.

    What T5's decoder looks for and adds before it writes is of no use to a classifier and changes while the prompts are
    new; the mean of the encoder's states is the better start (Sentence-T5, arXiv 2108.08877). So the cross-attention's
    queries shrink, until all tokens are read alike; its value and output matrices, which would drown most directions of
    the mean in a few, keep their size, but stretch alike all directions that they let through; and the feed-forward
    layer adds little. All of it is learned from there. Models without prompts stay as they are.
    """
    if model.config.decoder_vocab_size is None:
        return
    for block in cast("Any", model.transformer.decoder).block:
        attention = block.layer[1].EncDecAttention
        attention.q.weight.mul_(_LEFT)
        value, output = attention.v.weight, attention.o.weight
        turn = _stretching_alike(value.double())
        value.copy_(turn * (value.double().norm() / turn.norm()))
        # Of both together, not of each alone, which would not do where the heads are wider than the model (T5-3B).
        turn = _stretching_alike(output.double() @ turn) @ turn.T
        output.copy_(turn * (output.double().norm() / turn.norm()))
        block.layer[2].DenseReluDense.wo.weight.mul_(_LEFT)


def _stretching_alike(matrix: torch.Tensor) -> torch.Tensor:
    """The nearest matrix whose singular values are all 1."""
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    return left @ right
