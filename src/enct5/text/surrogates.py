"""Half of a surrogate pair, which Python's strings and JSON can hold: it is no character, and no tokenizer takes it."""

from enct5.errors import EncT5Error, show


def check_unicode(text: str, where: str, number: int) -> None:
    """Refuse half of a surrogate pair.

    Args:
        text: A text, or one of a pair's two, or a word.
        where: What it is one of, for the message, such as "text".
        number: Which of those, counted from 1.

    Raises:
        EncT5Error: If there is one.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise EncT5Error(
            f"{where} {number}: {show(ascii(text[error.start]))} at character {error.start + 1} is half of a surrogate "
            "pair, not a character; take it out, or put U+FFFD in its place"
        ) from None
