"""Whether a tokenizer and a model belong together."""

from typing import TYPE_CHECKING

from enct5.errors import EncT5Error

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def check_tokenizer(tokenizer: "PreTrainedTokenizerBase", vocab_size: int) -> None:
    """Refuse a tokenizer that gives ids for which a model has no embedding.

    Args:
        tokenizer: the tokenizer.
        vocab_size: the model's.

    Raises:
        EncT5Error: when it does; by its highest id, as ids may have gaps.
    """
    highest = max(tokenizer.get_vocab().values())
    if highest >= vocab_size:
        whose = f"the tokenizer of {tokenizer.name_or_path}" if tokenizer.name_or_path else "the tokenizer"
        raise EncT5Error(
            f"{whose} has token ids up to {highest}, but the model {vocab_size} embeddings (ids up to "
            f"{vocab_size - 1}); they do not belong together: take the tokenizer that the model was saved with"
        )
