"""Prompts that start from words: each label's own, or those of its description.

T5Enc (arXiv 2305.05627) found label words the best of four ways to feed T5's decoder for multi-label classification.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from enct5.data.json_rows import unique_keys
from enct5.data.reading import read_table
from enct5.errors import EncT5Error, nearest, show, unknown
from enct5.files.yaml_mappings import TextLoader
from enct5.text.surrogates import check_unicode
from enct5.tokenization.rows import tokenize

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from enct5.model.modeling_enct5 import EncT5ForClassification

_COLUMNS = ("label", "description")
_MOST_LISTED = 5


def label_words(label: str) -> str:
    """Split a label's name into words: `card_arrival`, `card-arrival` and `cardArrival` are two words each.

    Args:
        label: The name.

    Returns:
        The words, separated by blanks, their letters as they were.
    """
    spaced = "".join(
        f" {char}" if char.isupper() and (before.islower() or (before.isupper() and after.islower())) else char
        for before, char, after in zip(" " + label, label, label[1:] + " ", strict=False)
    )
    return " ".join(re.sub(r"[_-]", " ", spaced).split())


def read_descriptions(source: str, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Read what each label means.

    Args:
        source: A JSON or YAML file that maps label to description, or a table (CSV, TSV, JSONL, Parquet) with the
            columns `label` and `description`.
        names: The labels, in id order.

    Returns:
        One description per label, in id order; and the names in the file that are no labels.

    Raises:
        EncT5Error: If the file cannot be read, or a label has no description in it.
    """
    readers = {".json": _parse_json, ".yaml": _parse_yaml, ".yml": _parse_yaml}
    path = Path(source).expanduser()
    parse = readers.get(path.suffix.lower())
    found = _read_table(source) if parse is None else _read_mapping(path, parse)
    missing = [name for name in names if not found.get(name, "").strip()]
    others = [name for name in found if name not in set(names)]
    if missing:
        listed = ", ".join(show(name) for name in missing[:_MOST_LISTED])
        more = f" and {len(missing) - _MOST_LISTED} more" if len(missing) > _MOST_LISTED else ""
        guess = nearest(missing[0], others)
        meant = f" (is `{guess}`, which the data does not have, meant for `{missing[0]}`?)" if guess else ""
        raise EncT5Error(f"{source} does not describe {listed}{more}{meant}; describe all {len(names)} labels")
    return [found[name] for name in names], others


def _parse_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=unique_keys)


def _parse_yaml(text: str) -> Any:
    return yaml.load(text, Loader=TextLoader)  # every value is text: `yes` stays a label


def _read_mapping(path: Path, parse: Any) -> dict[str, str]:
    try:
        found = parse(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise EncT5Error(f"cannot read the label descriptions in {path}: {show(error, 200)}") from error
    if not isinstance(found, dict):
        raise EncT5Error(f"{path} holds {show(found)}; it must map each label to its description")
    wrong = next((name for name, text in found.items() if not isinstance(text, str)), None)
    if wrong is not None:
        raise EncT5Error(f"{path}: the description of {show(wrong)} is {show(found[wrong])}; it must be a text")
    for number, text in enumerate(found.values(), 1):
        check_unicode(text, f"{path}, description", number)
    return found


def _read_table(source: str) -> dict[str, str]:
    table = read_table(source)
    for column in _COLUMNS:
        if column not in table.column_names:
            raise unknown("column", column, table.column_names, source)
    names, texts = ([str(value or "") for value in table[column][:]] for column in _COLUMNS)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise EncT5Error(f"{source} describes {show(twice)} {names.count(twice)} times; keep one description")
    return dict(zip(names, texts, strict=True))


def start_from_words(
    model: "EncT5ForClassification", tokenizer: "PreTrainedTokenizerBase", texts: Sequence[str]
) -> None:
    """Start each label's prompt as the mean of the encoder's embeddings of a text's tokens.

    Args:
        model: A model with a prompt per label.
        tokenizer: Its tokenizer.
        texts: One text per label, in id order.

    A label whose text has no tokens keeps the prompt that it has.

    Raises:
        EncT5Error: For half a surrogate pair, with the number of the text.
    """
    # Words are read before torch is imported.
    import torch

    from enct5.model.modeling_enct5 import PROMPTS

    embedding = model.get_parameter("transformer.encoder.embed_tokens.weight")
    prompts = model.get_parameter(PROMPTS)
    rows = tokenize(tokenizer, texts, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        for label, ids in enumerate(rows):
            if ids:
                prompts[label] = embedding[ids].float().mean(dim=0)


def are_untrained(model: "EncT5ForClassification") -> bool:
    """Whether all prompts are still `<pad>`'s embedding, as conversion from T5 starts them."""
    from enct5.model.modeling_enct5 import PROMPTS

    embedding = model.get_parameter("transformer.encoder.embed_tokens.weight")
    return bool((model.get_parameter(PROMPTS) == embedding[model.config.decoder_start_token_id]).all())
