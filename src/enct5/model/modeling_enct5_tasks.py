"""EncT5 of several tasks: one encoder pass, and for each task a decoder with prompts of its own, and a head.

    text -> T5 encoder -> token states                                       (batch, sequence, d_model)
    a task's constant prompts -> the task's decoder layer(s), which read them (batch, prompts, d_model)
    its prompts' states -> its head -> its logits                            (batch, labels of the task)

Tasks share nothing but the encoder: what one of them gives is what a model of that task alone gives, bit for bit, so
tasks may be added and removed. A task that tags tokens reads the encoder's states, as ever.

This file travels with the checkpoints of several tasks (`trust_remote_code=True`), beside the two that it imports.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutput
from transformers.processing_utils import Unpack
from transformers.utils import ModelOutput, TransformersKwargs, logging
from transformers.utils.generic import can_return_tuple

from .configuration_enct5 import LOSS_WEIGHT, EncT5Config
from .modeling_enct5 import (
    PLACES,
    EncT5ClassificationHead,
    EncT5Decoder,
    EncT5ForClassification,
    EncT5ForSequenceClassification,
    EncT5ForTokenClassification,
    EncT5Model,
    EncT5PreTrainedModel,
    check_stored_dtypes,
    decoder_of,
    sequence_loss,
    token_loss,
)

logger = logging.get_logger(__name__)

_LOSS = ("problem_type", "loss", "loss_gamma", "class_weights")  # what `sequence_loss` reads of a configuration
_PREFIX = "task_"  # of a task's module: a task may be called as a module's method is, `type` for example


@dataclass
class EncT5TasksOutput(ModelOutput):
    """Outputs of `EncT5ForTasks`.

    Args:
        loss: the sum of the tasks' losses, each times its weight; with `labels`.
        logits: of every task by its name, `(batch, labels)`; of one that tags tokens `(batch, sequence, labels)`.
        losses: each task's own; with `labels`.
        encoder_last_hidden_state: `(batch, sequence, d_model)`.
        encoder_hidden_states: where `output_hidden_states` asks for them.
        encoder_attentions: where `output_attentions` asks for them.
    """

    loss: torch.Tensor | None = None
    logits: dict[str, torch.Tensor] | None = None
    losses: dict[str, torch.Tensor] | None = None
    encoder_last_hidden_state: torch.Tensor | None = None
    encoder_hidden_states: tuple[torch.Tensor, ...] | None = None
    encoder_attentions: tuple[torch.Tensor, ...] | None = None


def class_of_task(config: EncT5Config) -> type[EncT5ForClassification]:
    """The class of a single task's model."""
    tags = config.problem_type == "token_classification"
    return EncT5ForTokenClassification if tags else EncT5ForSequenceClassification


class EncT5TaskReader(nn.Module):
    """What a task has of its own: a decoder, unless it reads the encoder's states as they are, and a head.

    Args:
        decoder: the one, or `None`.
        classifier: the other.
    """

    def __init__(self, decoder: EncT5Decoder | None, classifier: EncT5ClassificationHead):
        super().__init__()
        self.decoder, self.classifier = decoder, classifier

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None,
        inputs_embeds: torch.Tensor | None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Logits of the task.

        Args:
            hidden_states: the encoder's, `(batch, sequence, d_model)`.
            attention_mask: `(batch, sequence)`.
            inputs_embeds: the text's own tokens, for a decoder that is fed with them.
        """
        if self.decoder is not None:
            own = inputs_embeds if self.decoder.embed_tokens is None else None
            hidden_states = self.decoder(hidden_states, attention_mask, own, **kwargs).last_hidden_state
        return self.classifier(hidden_states)


class EncT5ForTasks(EncT5PreTrainedModel):
    """EncT5 of several tasks, named in `config.tasks`, that read one encoder.

    `from_models` makes one of models of a single task whose encoders are equal; `task_model` gives one of them back.
    """

    accepts_loss_kwargs = False  # losses are means over the batch

    def __init__(self, config: EncT5Config):
        if not config.tasks:
            raise ValueError("`tasks` is not set: a model of one task is EncT5ForSequenceClassification, or its like")
        super().__init__(config)
        self.transformer = EncT5Model(config)  # the encoder alone
        self.readers = nn.ModuleDict()
        for name in config.task_names:
            own = config.of_task(name)
            self.readers[_PREFIX + name] = EncT5TaskReader(decoder_of(own), class_of_task(own).head_class(own))
        self.post_init()

    @property
    def tasks(self) -> dict[str, EncT5TaskReader]:
        """The tasks' own modules by name."""
        readers: Any = self.readers
        return {name: readers[_PREFIX + name] for name in self.config.task_names}

    @classmethod
    def from_models(
        cls,
        models: Mapping[str, EncT5ForClassification],
        entries: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> "EncT5ForTasks":
        """One model of several of a single task each, whose modules it takes over.

        Args:
            models: by the names of their tasks, in order; their encoders must be equal to the last bit.
            entries: what else `config.tasks` is to say of them, such as `loss_weight`.

        Raises:
            ValueError: for encoders that differ, or names that cannot be.
        """
        first = next(iter(models.values()))
        for name, model in models.items():
            if (differs := _difference(first.transformer.encoder, model.transformer.encoder)) is not None:
                raise ValueError(
                    f"the encoder of {name!r} is not that of {next(iter(models))!r} ({differs} differs); tasks share "
                    "one encoder: train them from the same base with the encoder frozen"
                )
        tasks = [{**model.config.as_task(name), **(entries or {}).get(name, {})} for name, model in models.items()]
        readers = [model.config for model in models.values() if model.config.problem_type != "token_classification"]
        window = readers[0].encoder_window if readers else None
        shared = {**first.config.shared_values(), "encoder_window": window}
        config = first.config_class.from_dict({**shared, "tasks": tasks})
        config._attn_implementation = first.config._attn_implementation
        with torch.device("meta"):
            made = cls(config)
        made.transformer.encoder = first.transformer.encoder
        for name, model in models.items():
            made.readers[_PREFIX + name] = EncT5TaskReader(model.transformer.decoder, model.classifier)
        return made.train(first.training)

    def task_model(self, name: str) -> EncT5ForClassification:
        """The model of one task alone; its modules are this model's own.

        Raises:
            ValueError: where there is no such task.
        """
        config = self.config.of_task(name)
        with torch.device("meta"):
            model = class_of_task(config)(config)
        reader = self.tasks[name]
        model.transformer.encoder = self.transformer.encoder
        model.transformer.decoder = reader.decoder
        model.classifier = reader.classifier
        return model.train(self.training)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:
        """Load a checkpoint (see `PreTrainedModel.from_pretrained`); warns of tasks that were never trained.

        Raises:
            ValueError: for weights that are no floating point numbers.
        """
        with_info = kwargs.pop("output_loading_info", False)
        loaded: Any = super().from_pretrained(pretrained_model_name_or_path, *args, output_loading_info=True, **kwargs)
        model, info = loaded
        if isinstance(pretrained_model_name_or_path, (str, os.PathLike)):
            given = {key: kwargs[key] for key in PLACES if kwargs.get(key) is not None}
            check_stored_dtypes(pretrained_model_name_or_path, info["unexpected_keys"], **given)
        if untrained := model.untrained_tasks():
            logger.warning_once(
                f"never trained, so that predictions are random: the task(s) {', '.join(untrained)} of this EncT5 model"
            )
        return (model, info) if with_info else model

    def untrained_tasks(self) -> list[str]:
        """The tasks whose head was never trained."""
        heads = {name: reader.classifier for name, reader in self.tasks.items()}
        return [name for name, head in heads.items() if not (head.bias.is_meta or bool(head.bias.any()))]

    def is_fine_tuned(self) -> bool:
        """Whether the heads of all tasks were ever trained."""
        return not self.untrained_tasks()

    def save_pretrained(self, *args: Any, **kwargs: Any) -> None:
        """Save weights, configuration and the code that loads them (see `PreTrainedModel.save_pretrained`)."""
        kwargs.setdefault("save_original_format", False)
        super().save_pretrained(*args, **kwargs)

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        encoder_outputs: BaseModelOutput | tuple[torch.Tensor, ...] | None = None,
        labels: Mapping[str, torch.Tensor] | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> EncT5TasksOutput:
        """Do all tasks on a batch of texts, which are encoded once.

        Args:
            input_ids: `(batch, sequence)`.
            attention_mask: `(batch, sequence)`; built from `pad_token_id` when absent.
            inputs_embeds: `(batch, sequence, d_model)`, instead of `input_ids`.
            encoder_outputs: a former call's encoder output, to skip the encoder.
            labels: by the tasks' names, some or all, as the tasks' own models take them. A text without a label for a
                task has -100 there (classes, tokens) or NaN (values, several labels), and counts for the others.

        Returns:
            `logits` by task, and with `labels` the `losses` by task, each a mean over the texts (tokens) that have a
            label for it, and `loss`, their sum with the tasks' `loss_weight`.

        Raises:
            ValueError: for labels that do not fit, or are of no task of this model.
        """
        if attention_mask is None and input_ids is not None and self.config.pad_token_id is not None:
            attention_mask = (input_ids != self.config.pad_token_id).long()
        outputs = self.transformer(
            input_ids,
            attention_mask=attention_mask,
            inputs_embeds=inputs_embeds,
            encoder_outputs=encoder_outputs,
            return_dict=True,
            **kwargs,
        )
        readers = self.tasks
        if inputs_embeds is None and any(self.config.task_values(name).get("token_decoder") for name in readers):
            if input_ids is None:
                raise ValueError("with `token_decoder` a decoder reads the text: give `input_ids` or `inputs_embeds`")
            inputs_embeds = self.transformer.encoder.embed_tokens(input_ids)
        logits = {
            name: reader(outputs.last_hidden_state, attention_mask, inputs_embeds) for name, reader in readers.items()
        }
        losses = None if labels is None else self.compute_losses(logits, labels)
        return EncT5TasksOutput(
            loss=None if losses is None else self.weigh(losses),
            logits=logits,
            losses=losses,
            encoder_last_hidden_state=outputs.encoder_last_hidden_state,
            encoder_hidden_states=outputs.encoder_hidden_states,
            encoder_attentions=outputs.encoder_attentions,
        )

    def weigh(self, losses: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The sum of the tasks' losses, each times its `loss_weight`."""
        weighted = [loss * self.config.task_values(name).get(LOSS_WEIGHT, 1.0) for name, loss in losses.items()]
        return sum(weighted[1:], weighted[0])  # one by one: a sum of nothing more changes no bit

    def compute_losses(
        self, logits: Mapping[str, torch.Tensor], labels: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Each task's own loss over the texts that have a label for it; 0 where none has.

        Raises:
            ValueError: as `forward`.
        """
        if unknown := set(labels) - set(logits):
            raise ValueError(f"labels are given for {min(unknown)!r}, but the tasks are {', '.join(logits)}")
        losses = {}
        for name, own in labels.items():
            values, outputs, own = self.config.task_values(name), logits[name], own.to(logits[name].device)
            if values["problem_type"] == "token_classification":
                losses[name] = token_loss(outputs, own)
                continue
            present = has_label(own)
            # A configuration for each task and step would take longer than the loss.
            config: Any = SimpleNamespace(num_labels=len(values["id2label"]), **{key: values.get(key) for key in _LOSS})
            # of no text at all the sum of nothing, which still has a gradient
            losses[name] = sequence_loss(config, outputs[present], own[present]) if present.any() else outputs.sum() * 0
        return losses


def has_label(labels: torch.Tensor) -> torch.Tensor:
    """Which texts have a label: bool `(batch,)` of a task's labels, -100 or NaN where a text has none."""
    rows = labels.flatten(1) if labels.dim() > 1 else labels[:, None]
    return ~(rows.isnan() if rows.is_floating_point() else rows == -100).any(1)


def _difference(one: nn.Module, other: nn.Module) -> str | None:
    """The name of a parameter that two modules do not have alike; `None` for none."""
    if one is other:
        return None
    ours, theirs = dict(one.named_parameters()), dict(other.named_parameters())
    different = [name for name in ours.keys() ^ theirs.keys()]
    different += [
        name
        for name in ours.keys() & theirs.keys()
        if ours[name].shape != theirs[name].shape or not torch.equal(ours[name], theirs[name])
    ]
    return min(different, default=None)


EncT5ForTasks.register_for_auto_class("AutoModel")

__all__ = ["EncT5ForTasks", "EncT5TasksOutput"]
