"""The tokenizer of an exported model."""

from typing import TYPE_CHECKING, Any, cast

from enct5.errors import EncT5Error, first_line, require
from enct5.files.hub_files import file_of
from enct5.tokenization.fast_tokenizer import FastTokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def tokenizer_of(source: str, **hub: Any) -> "PreTrainedTokenizerBase":
    """Read a tokenizer without transformers; of one that has no tokenizer.json, as ByT5's, transformers' own.

    Args:
        source: folder or hub id.
        hub: `revision` and `token` on the hub.

    Returns:
        A `FastTokenizer`, which is like transformers' for all that prediction asks of one.

    Raises:
        EncT5Error: when there is none, or it is damaged.
    """
    try:
        file, settings = (file_of(source, name, **hub) for name in ("tokenizer.json", "tokenizer_config.json"))
        if file is not None:
            tokenizer = FastTokenizer.read(file, settings, source)
            if tokenizer.pieces <= 1:
                raise ValueError(f"{file.name} has no vocabulary")
            return cast("PreTrainedTokenizerBase", tokenizer)
    except (OSError, ValueError) as error:
        raise EncT5Error(f"cannot load the tokenizer of {source}: {first_line(error)}") from error
    require("transformers", "predict", f"the tokenizer of {source}, which has no tokenizer.json,")
    from enct5.model.loading import load_tokenizer

    return load_tokenizer(source, **hub)
