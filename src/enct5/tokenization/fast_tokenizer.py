"""A tokenizer of the `tokenizers` library as its files have it, read without transformers: the same ids."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Encoding, Tokenizer

NO_LIMIT = int(1e30)  # transformers' word for it
_T5_NAMES = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}  # where a folder does not name them


class Encodings(dict[str, list[Any]]):
    """What a tokenizer makes of texts: what transformers' `BatchEncoding` gives of it, as far as prediction asks.

    Args:
        encodings: of each text, or pair.

    Attributes:
        encodings: as given.
    """

    def __init__(self, encodings: Sequence[Encoding]) -> None:
        super().__init__(input_ids=[row.ids for row in encodings])
        self.encodings = list(encodings)

    def sequence_ids(self, row: int) -> list[int | None]:
        """Which text of a pair each token of a row is of; None for what was added."""
        return self.encodings[row].sequence_ids

    def token_to_chars(self, row: int, token: int) -> tuple[int, int] | None:
        """The first character of a token and the one after its last; None for what was added."""
        return self.encodings[row].token_to_chars(token)

    def token_to_sequence(self, row: int, token: int) -> int | None:
        """Which text of a pair a token is of; None for what was added."""
        return self.encodings[row].token_to_sequence(token)


class FastTokenizer:
    """What prediction needs of transformers' tokenizers, under the same names.

    Its `tokenizers.Tokenizer` neither cuts nor pads, and nobody else has it: any number of threads may use it.

    Args:
        backend: the tokenizer.
        settings: those of tokenizer_config.json.
        name: the folder or hub id that it came from.

    Attributes:
        model_max_length: the most tokens of a text; `NO_LIMIT` for no limit.
        truncation_side: from which side longer ones are cut, `left` or `right`.
        name_or_path: as given.
        eos_token, unk_token, pad_token: the tokens' names; None for those that there are not.
        eos_token_id, unk_token_id, pad_token_id: their ids likewise.

    Raises:
        ValueError: for settings that are none.
    """

    is_fast = True

    def __init__(self, backend: Tokenizer, settings: dict[str, Any], name: str = "") -> None:
        cut, padded = backend.truncation or {}, backend.padding or {}
        backend.no_truncation()
        backend.no_padding()
        self._backend, self.name_or_path = backend, name
        self._splits_special = backend.encode_special_tokens = bool(settings.get("split_special_tokens"))
        longest = settings.get("model_max_length")
        if longest is not None and (isinstance(longest, bool) or not isinstance(longest, (int, float)) or longest < 1):
            raise ValueError(f"`model_max_length` is {longest!r}; it must be a number from 1 on")
        self.model_max_length = NO_LIMIT if longest is None else int(longest)
        self.truncation_side = settings.get("truncation_side", cut.get("direction", "right"))
        if self.truncation_side not in ("left", "right"):
            raise ValueError(f"`truncation_side` is {self.truncation_side!r}; it must be left or right")
        names = {**_T5_NAMES, **({"pad_token": padded["pad_token"]} if padded else {})}
        self.eos_token, self.unk_token, self.pad_token = (
            _content(settings.get(key, default)) for key, default in names.items()
        )
        self.eos_token_id, self.unk_token_id, self.pad_token_id = (
            None if token is None else backend.token_to_id(token)
            for token in (self.eos_token, self.unk_token, self.pad_token)
        )

    @classmethod
    def read(cls, tokenizer: Path, settings: Path | None, name: str = "") -> "FastTokenizer":
        """Read a tokenizer.json and, if there is one, the tokenizer_config.json beside it.

        Raises:
            ValueError: for a damaged one, which the message names.
            OSError: for one that cannot be read.
        """
        said: Any = {}
        if settings is not None:
            try:
                said = json.loads(settings.read_text(encoding="utf-8"))
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{settings.name} is damaged ({error})") from error
            if not isinstance(said, dict):
                raise ValueError(f"{settings.name} is damaged (it holds a {type(said).__name__})")
        text = tokenizer.read_text(encoding="utf-8")
        try:
            backend = Tokenizer.from_str(text)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # panics of `tokenizers` are no `Exception`
            raise ValueError(f"{tokenizer.name} is damaged ({error})") from error
        return cls(backend, said, name)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._backend.encode_special_tokens = self._splits_special  # which a copied or unpickled backend forgets

    def __call__(self, *columns: Sequence[str], add_special_tokens: bool = True, **options: Any) -> Encodings:
        """Tokenise texts, whole.

        Args:
            columns: the texts, or the first and the second ones of pairs.
            add_special_tokens: whether to add what the model wants around them, such as `</s>`.
            options: of transformers' tokenizers, those that `enct5.tokenization` gives: `return_offsets_mapping`, and
                others that leave the ids as they are.
        """
        batch: Any = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
        encoded = Encodings(self._backend.encode_batch(batch, add_special_tokens=add_special_tokens))
        if options.get("return_offsets_mapping"):
            encoded["offset_mapping"] = [row.offsets for row in encoded.encodings]
        return encoded

    def __len__(self) -> int:
        return self._backend.get_vocab_size(with_added_tokens=True)

    @property
    def pieces(self) -> int:
        """How many tokens there are besides those that were added to the vocabulary."""
        return len(self) - len(self._backend.get_added_tokens_decoder())

    def get_vocab(self) -> dict[str, int]:
        """The ids of all tokens by name."""
        return self._backend.get_vocab(with_added_tokens=True)

    def convert_tokens_to_ids(self, tokens: Sequence[str]) -> list[int | None]:
        """The ids of tokens; that of the unknown one for names that are none."""
        ids = map(self._backend.token_to_id, tokens)
        return [self.unk_token_id if id is None else id for id in ids]

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """How many tokens are added to a text, or to a pair."""
        return self._backend.num_special_tokens_to_add(pair)


def _content(token: Any) -> str | None:
    """A special token's name, which files give alone or with how it is matched."""
    name = token.get("content") if isinstance(token, dict) else token
    if name is not None and not isinstance(name, str):
        raise ValueError(f"a special token is {token!r}; it must be a text")
    return name
