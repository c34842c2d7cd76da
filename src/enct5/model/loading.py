"""Load what others saved: every damage becomes one line that names the checkpoint."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase

from enct5.errors import EncT5Error, first_line
from enct5.files.hub_names import on_hub
from enct5.model.configuration_enct5 import EncT5Config
from enct5.model.modeling_enct5 import EncT5ForClassification
from enct5.model.modeling_enct5_tasks import EncT5ForTasks, class_of_task
from enct5.model.sources import check_source


def _reason(source: str, error: BaseException, part: str) -> str:
    """Why a part of a checkpoint could not be loaded, with the file that is damaged: the libraries seldom name it."""
    if not Path(source).exists():
        return (
            f"there is no such folder, and the hub does not give it ({first_line(error)}) (a private one needs a "
            "token: `hf auth login`, or HF_TOKEN)"
        )
    for file in sorted(Path(source).glob("*.json")):
        try:
            json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as damage:
            return f"{file.name} is damaged ({first_line(damage)})"
    for file in sorted(Path(source).glob("*.safetensors")):
        try:
            safe_open(file, framework="pt").__exit__(None, None, None)
        except (OSError, SafetensorError) as damage:
            return f"{file.name} is damaged ({first_line(damage)})"
    return f"{part}: {first_line(error)}"


def _no_tokenizer(source: str) -> EncT5Error:
    return EncT5Error(f"cannot load the tokenizer of {source}: its files (tokenizer.json or spiece.model) are missing")


def load_tokenizer(source: str, **hub: Any) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint.

    Args:
        source: folder or hub id.
        hub: `revision` and `token` on the hub.

    Raises:
        EncT5Error: when there is none.
    """
    check_source(source, hub.get("revision"))
    folder = Path(source)
    if folder.is_dir() and not [*folder.glob("tokenizer*"), *folder.glob("*.model")]:
        raise _no_tokenizer(source)
    name, places = on_hub(source, **hub)
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, **places)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # whatever the damage leads to; panics of `tokenizers` are no `Exception`
        raise EncT5Error(f"cannot load the tokenizer of {source}: {_reason(source, error, 'tokenizer')}") from error
    # Without files, transformers makes a T5 tokenizer that knows a blank, and every word is unknown.
    if len(tokenizer) - len(tokenizer.added_tokens_decoder) <= 1:
        raise _no_tokenizer(source)
    return tokenizer


def model_class_of(config: EncT5Config) -> type[EncT5ForClassification] | type[EncT5ForTasks]:
    """The class of the models that have a configuration."""
    return EncT5ForTasks if config.tasks else class_of_task(config)


def _check_no_pickles(source: str) -> None:
    """Refuse weights that are pickles: reading them may run whatever their author put in."""
    folder = Path(source)
    pickles = sorted(file.name for pattern in ("*.bin", "*.pt", "*.pth", "*.pkl") for file in folder.glob(pattern))
    if folder.is_dir() and pickles and not any(folder.glob("*.safetensors")):
        raise EncT5Error(
            f"the weights of {source} are pickled ({pickles[0]}), and reading those may run foreign code; whoever "
            "trusts them can save them as safetensors, by `save_pretrained` of the program that wrote them"
        )


def load_model(source: str, dtype: str = "auto", **hub: Any) -> EncT5ForClassification:
    """Load an EncT5 checkpoint, from safetensors alone.

    Args:
        source: folder or hub id.
        dtype: of the weights, such as `float16` (but for those that T5 keeps in float32 then); `auto` is the file's.
        hub: `revision` and `token` on the hub.

    Raises:
        EncT5Error: when it is none, or damaged; the message says what to do.
    """
    check_source(source, hub.get("revision"))
    _check_no_pickles(source)
    name, places = on_hub(source, **hub)
    try:
        config = AutoConfig.from_pretrained(name, **places)
    except Exception as error:  # transformers raises whatever the damage leads to
        raise EncT5Error(f"cannot read a model at {source}: {_reason(source, error, 'config.json')}") from error
    if not isinstance(config, EncT5Config):
        raise EncT5Error(
            f"{source} is a checkpoint of type {config.model_type!r}, not an EncT5 model; make one of a T5 with "
            "`enct5 convert`, and train it with `enct5 train`"
        )
    try:
        model, info = model_class_of(config).from_pretrained(
            name,
            config=config,
            dtype=dtype,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            use_safetensors=True,
            **places,
        )
    except Exception as error:
        if isinstance(quantized := getattr(config, "quantization_config", None), dict):
            raise EncT5Error(
                f"{source} is quantised ({quantized.get('quant_method', 'unknown method')}) and cannot be loaded here: "
                f"{first_line(error)}"
            ) from error
        raise EncT5Error(
            f"cannot load the weights of {source} as config.json describes them: {_reason(source, error, 'weights')}; "
            "get the model again"
        ) from error
    if info["missing_keys"] or info["mismatched_keys"]:
        wrong = [*info["missing_keys"], *(key[0] for key in info["mismatched_keys"])]
        raise EncT5Error(
            f"the weights of {source} lack {min(wrong)} or hold it in another shape than config.json says; get the "
            "model again"
        )
    if info["unexpected_keys"]:  # such as those of a layer that is not computed then
        raise EncT5Error(
            f"the weights of {source} hold {min(info['unexpected_keys'])}, for which config.json has no place; get the "
            "model again"
        )
    return model
