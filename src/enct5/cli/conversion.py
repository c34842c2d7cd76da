"""A converted checkpoint as a folder, with its tokenizer and its card."""

import json
from pathlib import Path
from typing import Any, cast

from enct5.errors import EncT5Error
from enct5.files.writing import atomic_folder, disk_full_as_error, refuse_occupied
from enct5.model.configuration_enct5 import EncT5Config
from enct5.model.conversion import Conversion, convert
from enct5.model.folder import CONVERSION, public_name
from enct5.model.loading import load_tokenizer
from enct5.model.vocabularies import check_tokenizer
from enct5.reports import model_card


def convert_folder(base: str, out: Path, num_labels: int, **options: Any) -> Conversion:
    """Convert a checkpoint and save it, with its tokenizer and the code that loads it, as the folder `out`.

    Args:
        base: folder or hub id of a T5-family checkpoint.
        out: folder to create; appears whole or not at all.
        num_labels: number of labels or targets.
        options: further arguments of `convert`.

    Raises:
        EncT5Error: for a base that cannot be converted, or an `out` that holds files.
    """
    refuse_occupied(out)
    problem_type = options.get("problem_type")
    if options.get("token_decoder") and problem_type != "token_classification":
        raise EncT5Error(
            f"token_decoder (--token-decoder) is for token_classification, not {problem_type}; leave it out"
        )
    conversion = convert(base, num_labels, **options)
    config = cast(EncT5Config, conversion.model.config)
    tokenizer = load_tokenizer(base, revision=options.get("revision"), token=options.get("token"))
    check_tokenizer(tokenizer, config.vocab_size)
    with disk_full_as_error(out, "make room"), atomic_folder(out) as folder:
        conversion.model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (folder / CONVERSION).write_text(json.dumps({"origin": public_name(base)}) + "\n", encoding="utf-8")
        model_card.write_converted(base, config, conversion.model.num_parameters(), folder)
    return conversion
