"""LoRA (arXiv 2106.09685) through peft: small matrices learn beside the frozen model, and are merged into it then.

peft is an optional dependency, so it is imported when it is needed.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from safetensors.torch import save_file

from enct5.files.hub_names import on_hub
from enct5.model.modeling_enct5 import EncT5ForClassification

if TYPE_CHECKING:
    from peft import PeftModel

ADAPTER = "adapter"  # the folder in a run folder
RANK = 16


def add_adapters(model: EncT5ForClassification) -> "PeftModel":
    """Freeze a model but for its prompts and head, and give every matrix of attention and feed-forward an adapter.

    An adapter's product counts as it is (`lora_alpha` is the rank): AdamW's steps are relative to a tensor's size, so a
    factor would be cancelled by smaller steps.
    """
    from peft import LoraConfig, get_peft_model

    new = ["classifier"]
    if model.config.decoder_vocab_size is not None:
        new.append("transformer.decoder.embed_tokens")
    return cast(
        "PeftModel",
        get_peft_model(model, LoraConfig(r=RANK, lora_alpha=RANK, target_modules="all-linear", modules_to_save=new)),
    )


class Adapter:
    """What was learned beside the frozen model, in peft's format.

    Prompts and head are the tensors of the merged model itself: what is done to them there is done to them here.
    """

    def __init__(self, adapted: "PeftModel") -> None:
        from peft import get_peft_model_state_dict

        self.config: Any = adapted.peft_config["default"]
        self.tensors = get_peft_model_state_dict(adapted, save_embedding_layers=False)

    def write(self, folder: Path, base: str) -> None:
        """Write what `peft.PeftModel.from_pretrained` loads onto a model that was converted from `base`."""
        from peft.utils import SAFETENSORS_WEIGHTS_NAME

        folder.mkdir()
        name, places = on_hub(base)
        self.config.base_model_name_or_path, self.config.revision = name, places.get("revision")
        self.config.inference_mode = True
        self.config.save_pretrained(folder)
        save_file(self.tensors, folder / SAFETENSORS_WEIGHTS_NAME, metadata={"format": "pt"})


def merge(adapted: "PeftModel") -> tuple[EncT5ForClassification, Adapter]:
    """The plain model that an adapted one amounts to, and what was learned apart from it."""
    adapter = Adapter(adapted)
    return cast(Any, adapted).merge_and_unload(), adapter
