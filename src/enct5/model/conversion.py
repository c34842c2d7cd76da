"""Build an EncT5 model from a T5-family checkpoint: T5 v1.0, v1.1, Flan, ByT5, mT5 and umT5.

Tensors are read straight from the safetensors files, a slice at a time, and only those that EncT5 keeps; T5's own
classes are never instantiated, so no tying or renaming of theirs can change what is copied. Afterwards every copied
tensor is compared with the file again.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, cast

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, PretrainedConfig

from enct5.errors import EncT5Error, first_line, unknown
from enct5.files.hub_names import on_hub
from enct5.model.configuration_enct5 import EncT5Config
from enct5.model.modeling_enct5 import PROMPTS, EncT5ForClassification, EncT5ForTokenClassification
from enct5.model.modeling_enct5_tasks import class_of_task
from enct5.model.sources import check_source
from enct5.model.t5_checkpoint import DTYPES, T5Checkpoint

logger = logging.getLogger(__name__)
T5_MODEL_TYPES = ("t5", "mt5", "umt5")

# What an EncT5 configuration takes over from T5's; the rest (generation settings, task prompts) has no use here.
_ARCHITECTURE = [
    "vocab_size",
    "d_model",
    "d_kv",
    "d_ff",
    "num_layers",
    "num_heads",
    "relative_attention_num_buckets",
    "relative_attention_max_distance",
    "dropout_rate",
    "layer_norm_epsilon",
    "initializer_factor",
    "feed_forward_proj",
    "pad_token_id",
    "eos_token_id",
    "decoder_start_token_id",
    "classifier_dropout",
]

# The names under which T5 files hold the embedding of text, best first: the tied ones are saved under one name only.
_TEXT_EMBEDDINGS = ("encoder.embed_tokens.weight", "shared.weight")


@dataclass
class Conversion:
    """A new EncT5 model and where its tensors come from.

    Attributes:
        model: the model, to be fine-tuned before use.
        copied: EncT5's name of every tensor copied from T5 -> its name in T5's file.
        new: tensors that T5 does not have (head, and prompts if any), or whose weights the file lacks.
        unused: T5's tensors that EncT5 does not keep; they were never loaded.
    """

    model: EncT5ForClassification
    copied: dict[str, str]
    new: list[str]
    unused: list[str]


def read_t5_config(base: str, **hub: Any) -> PretrainedConfig:
    """The configuration of a T5-family checkpoint.

    Raises:
        EncT5Error: when there is none, it is damaged, or it is not of the T5 family.
    """
    check_source(base, hub.get("revision"))
    name, places = on_hub(base, **hub)
    try:
        values, _ = PretrainedConfig.get_config_dict(name, **places)
    except (OSError, ValueError, TypeError, AttributeError) as error:  # the last two: not a JSON object
        raise EncT5Error(f"cannot read a checkpoint at {base}: {first_line(error)}") from error
    model_type = values.get("model_type") if isinstance(values, dict) else None
    if model_type is None:
        raise EncT5Error(f"cannot read a checkpoint at {base}: it has no config.json that names a model type")
    if model_type == EncT5Config.model_type:
        raise EncT5Error(f"{base} is an EncT5 model already; load it with from_pretrained")
    if model_type not in T5_MODEL_TYPES:
        raise EncT5Error(
            f"{base} is a checkpoint of type {model_type!r}; EncT5 is built from T5's encoder and decoder "
            f"({', '.join(T5_MODEL_TYPES)}: T5, v1.1, Flan, ByT5, mT5, umT5)"
        )
    if quantized := values.get("quantization_config"):
        method = quantized.get("quant_method", "unknown method") if isinstance(quantized, dict) else quantized
        raise EncT5Error(
            f"{base} is quantised ({method}), and EncT5 is made of floating point weights; take the original"
        )
    try:
        return AutoConfig.for_model(**values)
    except (StrictDataclassError, ValueError, TypeError) as error:
        raise EncT5Error(f"{base}/config.json is damaged: {first_line(error)}") from error


def enct5_config(
    t5: PretrainedConfig,
    num_labels: int | None,
    problem_type: str | None,
    id2label: Mapping[int, str] | None,
    **overrides: Any,
) -> EncT5Config:
    """The configuration of an EncT5 model on top of a T5 one; `overrides` are further keys of `EncT5Config`."""
    known = {item.name for item in fields(EncT5Config)} | {*EncT5Config.attribute_map, "attn_implementation"}
    if wrong := sorted(set(overrides) - known):
        raise unknown("argument or configuration key", wrong[0], sorted(known))
    labels = {"num_labels": num_labels, "id2label": id2label, "label2id": overrides.pop("label2id", None)}
    if all(value is None for value in labels.values()):
        raise EncT5Error("say how many labels there are: `num_labels` or `id2label`")
    values = {key: getattr(t5, key) for key in _ARCHITECTURE if getattr(t5, key, None) is not None}
    values |= {
        "problem_type": problem_type,
        "per_layer_position_bias": t5.model_type == "umt5",
        **{key: value for key, value in labels.items() if value is not None},
        **overrides,
    }
    try:
        config = EncT5Config(**values)
    except (StrictDataclassError, ValueError, TypeError) as error:
        raise EncT5Error(first_line(error)) from error
    if config.problem_type == "multi_label_classification" and "prompt_position_bias" not in overrides:
        # T5's bias between decoder positions would make a label's logit depend on the order of the labels.
        config.prompt_position_bias = False
    if config.decoder_vocab_size is not None and "decoder_dropout_rate" not in overrides:
        config.decoder_dropout_rate = 0.0
    if config.num_decoder_layers > t5.num_decoder_layers:
        raise EncT5Error(
            f"`num_decoder_layers` is {config.num_decoder_layers}, but the base has {t5.num_decoder_layers} to copy"
        )
    return config


def _source_of(name: str, checkpoint: T5Checkpoint) -> str | None:
    """T5's name of an EncT5 tensor, or `None` where the file has none."""
    if name == PROMPTS or name.startswith("classifier."):
        return None
    source = name.removeprefix("transformer.")
    candidates = _TEXT_EMBEDDINGS if source == _TEXT_EMBEDDINGS[0] else (source,)
    return next((candidate for candidate in candidates if candidate in checkpoint.stored), None)


def convert(  # noqa: PLR0913  # as transformers' `from_pretrained`: settings by name
    base: str,
    num_labels: int | None = None,
    *,
    problem_type: str | None = None,
    id2label: Mapping[int, str] | None = None,
    dtype: torch.dtype | str = torch.float32,
    device: torch.device | str = "cpu",
    allow_untrained_decoder: bool = False,
    revision: str | None = None,
    token: str | bool | None = None,
    model_class: type[EncT5ForClassification] | None = None,
    **config_overrides: Any,
) -> Conversion:
    """Build an EncT5 model from a T5-family checkpoint (arXiv 2110.08426 v2, section 3).

    The encoder, the first decoder layer(s) and the decoder's final norm are copied. The prompts start as the embedding
    of `<pad>`, with which T5's decoder has always started; the head is drawn at random. A model that tags tokens has no
    prompts, and a decoder only with `token_decoder=True`.

    Args:
        base: folder or hub id of a safetensors checkpoint.
        num_labels: number of labels (or regression targets).
        problem_type: see `EncT5Config`.
        id2label: the labels' names, instead of `num_labels`; or `label2id`.
        dtype: of the result, `float32` by default because the model is to be trained; `"auto"` keeps the file's.
            In float16 the feed-forward layers' `wo` stay in float32 (they overflow).
        device: where the result lives.
        allow_untrained_decoder: accept a file without a decoder, whose layer is then drawn at random.
        revision: branch, tag or commit on the hub.
        token: access token for the hub.
        model_class: class of the result; by default the one that `problem_type` asks for.
        config_overrides: further keys of `EncT5Config`, such as `num_decoder_layers` or `dropout_rate`.

    Raises:
        EncT5Error: for anything else than a complete, undamaged T5-family checkpoint.
    """
    hub = {"revision": revision, "token": token}
    if model_class is not None and issubclass(model_class, EncT5ForTokenClassification):
        problem_type = problem_type or "token_classification"
    t5 = read_t5_config(base, **hub)
    config = enct5_config(t5, num_labels, problem_type, id2label, **config_overrides)
    wanted = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if dtype != "auto" and wanted not in DTYPES.values():
        raise EncT5Error(f"`dtype` is {dtype!r}; it must be a floating point type such as 'bfloat16', or 'auto'")
    checkpoint = T5Checkpoint(base, hub)
    with torch.device("meta"):
        model = (model_class or class_of_task(config))(config)
    sources = {name: _source_of(name, checkpoint) for name, _ in model.named_parameters()}
    _check_complete(base, sources, checkpoint, allow_untrained_decoder)

    copied = {name: source for name, source in sources.items() if source is not None}
    stored = {name: checkpoint.dtype(source) for name, source in copied.items()}
    target = stored["transformer.encoder.embed_tokens.weight"] if dtype == "auto" else cast("torch.dtype", wanted)
    _materialise(model, target, torch.device(device))
    for name, source in copied.items():
        parameter = model.get_parameter(name)
        for rows, values in checkpoint.slices(source, parameter.shape):
            if not values.isfinite().all():
                raise EncT5Error(f"{base}: {source} holds NaN or infinite values; the checkpoint is damaged")
            values = values.to(parameter.dtype)
            if not values.isfinite().all():
                raise EncT5Error(f"{base}: {source} holds values too large for {parameter.dtype}; use bfloat16")
            parameter.data[rows] = values
    new = [name for name, source in sources.items() if source is None]
    _initialise(model, new)
    _verify(model, copied, checkpoint)

    used = set(copied.values())
    unused = sorted(name for name in checkpoint.stored if name not in used)
    model.config.name_or_path = on_hub(base)[0]
    model.config.dtype = target
    model.eval()  # as after from_pretrained
    logger.info(
        "%s: %d tensors copied, %d new (%s), %d unused", base, len(copied), len(new), ", ".join(new), len(unused)
    )
    return Conversion(model, copied, new, unused)


def _check_complete(
    base: str, sources: dict[str, str | None], checkpoint: T5Checkpoint, allow_untrained_decoder: bool
) -> None:
    missing = [
        name.removeprefix("transformer.")
        for name, source in sources.items()
        if source is None and name != PROMPTS and not name.startswith("classifier.")
    ]
    if missing and not any(name.startswith("decoder.block.") for name in checkpoint.stored):
        missing = [name for name in missing if not name.startswith("decoder.")]
        if not missing and not allow_untrained_decoder:
            raise EncT5Error(
                f"{base} holds an encoder only, so the decoder layer would start untrained; use the full T5, "
                "or ask for it: allow_untrained_decoder=True (--allow-untrained-decoder)"
            )
    if missing:
        raise EncT5Error(
            f"{base} lacks {len(missing)} of the tensors that its config.json asks for, such as {missing[0]}; "
            "the checkpoint is incomplete"
        )


def _materialise(model: EncT5ForClassification, dtype: torch.dtype, device: torch.device) -> None:
    """Give every parameter of a model on the meta device memory of its final dtype and place."""
    keep_float32 = set(model._keep_in_fp32_modules or ()) if dtype == torch.float16 else set()
    for name, parameter in list(model.named_parameters()):
        own = torch.float32 if keep_float32 & set(name.split(".")) else dtype
        module_name, _, leaf = name.rpartition(".")
        filled = torch.empty(parameter.shape, dtype=own, device=device)
        setattr(model.get_submodule(module_name), leaf, torch.nn.Parameter(filled))


@torch.no_grad()
def _initialise(model: EncT5ForClassification, new: list[str]) -> None:
    """Draw the tensors that no file provides, then start the prompts as T5's decoder starts."""
    model._init_weights(model.classifier)
    decoder = model.transformer.decoder
    if decoder is not None and any(name.startswith("transformer.decoder.block.") for name in new):
        decoder.apply(model._init_weights)
    if PROMPTS in new:
        start_prompts(model)


@torch.no_grad()
def start_prompts(model: EncT5ForClassification) -> None:
    """Start every prompt as `<pad>`'s embedding, with which T5's decoder has always started."""
    embedding = model.get_parameter("transformer.encoder.embed_tokens.weight")
    prompts = model.get_parameter(PROMPTS)
    prompts.copy_(embedding[model.config.decoder_start_token_id].expand_as(prompts))


def _verify(model: EncT5ForClassification, copied: dict[str, str], checkpoint: T5Checkpoint) -> None:
    """Compare every copied number with the file's: they are equal but for the rounding of the model's dtype."""
    for name, source in copied.items():
        parameter = model.get_parameter(name)
        ours, files = torch.finfo(parameter.dtype), torch.finfo(checkpoint.dtype(source))
        rounded = ours.eps > files.eps or ours.tiny > files.tiny
        for rows, values in checkpoint.slices(source, parameter.shape):
            exact = values if values.dtype == torch.float64 else values.float()
            got = parameter.data[rows].to("cpu", exact.dtype)
            if rounded:
                is_copy = bool(((got - exact).abs() <= exact.abs().clamp(min=ours.tiny) * ours.eps).all())
            else:
                is_copy = torch.equal(got, exact)
            if not is_copy:
                raise RuntimeError(f"{name} differs from {source} in {checkpoint.base}: this is a bug in enct5")
