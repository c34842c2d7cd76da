"""What texts have in common that differ in case, blanks or Unicode form only."""

import unicodedata


def normal_form(text: str) -> str:
    """A text in lower case, with single blanks between words and none at the ends, in Unicode's form NFKC."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())
