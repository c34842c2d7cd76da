"""The normal form of a text."""

import unicodedata

import pytest

from enct5.text.normal_form import normal_form


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("Café  au\tlait ", unicodedata.normalize("NFD", "CAFÉ au lait")),
        ("\uff21\uff22\uff23\uff11", "abc1"),
        ("Straße", "STRASSE"),
        ("a\u00a0b", "A b"),
        ("ﬁne", "FINE"),
    ],
)
def test_case_blanks_and_unicode_form_make_no_difference(text: str, other: str) -> None:
    assert text != other
    assert normal_form(text) == normal_form(other)
    assert normal_form(normal_form(text)) == normal_form(text)


@pytest.mark.parametrize(("text", "other"), [("Café", "Cafe"), ("a b", "ab"), ("a.", "a")])
def test_what_else_differs_stays_different(text: str, other: str) -> None:
    assert normal_form(text) != normal_form(other)
