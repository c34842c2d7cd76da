"""The page of an explanation: the texts as they are, no markup from them, nothing from the network."""

from pathlib import Path

import pytest

from enct5.errors import EncT5Error
from enct5.explanations.explain import Explanation, LabelExplanation
from enct5.explanations.words import Span
from enct5.reports import explanation_page
from helpers.html import Page

TEXT = "Where is <b>it</b> & why?"


def explanation(text: str = TEXT, label: str = "<late>", cut: int = 0) -> Explanation:
    words, position = [], 0
    for word in text.split():
        start = text.index(word, position)
        position = start + len(word)
        words.append(Span(word, 0, start, position))
    words.append(Span("</s>", 0, position, position))
    attribution = [(-1) ** index * (index + 1.0) for index in range(len(words) - 1)] + [0.0]
    attention = [1 / len(words)] * len(words)
    explained = LabelExplanation(label, 0.75, 1.5, -0.5, attention, attribution, attention, attribution)
    return Explanation((text,), {"label": label, "score": 0.75}, [explained], words, words, cut)


def test_the_page_is_self_contained_and_holds_no_markup_from_the_text(tmp_path: Path) -> None:
    explanation_page.write(explanation(), tmp_path / "why.html")
    page = Page((tmp_path / "why.html").read_text(encoding="utf-8"))
    assert page.links == []
    assert not {"script", "link", "img", "iframe", "b", "late"} & set(page.tags)
    assert page.html.count("http") == 1  # http-equiv of the policy that forbids the network
    assert "&lt;b&gt;it&lt;/b&gt;" in page.html
    assert "&lt;late&gt;</bdi>: 0.75" in page.html
    assert "<title>&lt;late&gt; of “Where is &lt;b&gt;it&lt;/b&gt; &amp; why?”: EncT5 explanation</title>" in page.html
    assert page.quotes == [f"{TEXT}</s>", f"{TEXT}</s>"]  # attribution, attention
    assert [path.name for path in tmp_path.iterdir()] == ["why.html"]


def test_words_are_shaded_by_sign_and_size_and_listed_by_size(tmp_path: Path) -> None:
    explanation_page.write(explanation(), tmp_path / "why.html")
    page = Page((tmp_path / "why.html").read_text(encoding="utf-8"))
    assert '<span class="for" style="--share: 0.200" title="1.0000">Where</span>' in page.html
    assert '<span class="against" style="--share: 0.400" title="-2.0000">is</span>' in page.html
    assert '<span class="for" style="--share: 1.000" title="5.0000">why?</span>' in page.html
    assert '<span class="for added" style="--share: 0.000" title="0.0000">&lt;/s&gt;</span>' in page.html
    (table,) = page.tables
    assert [(row[1], row[3]) for row in table[1:]] == [
        (number, "16.7%") for number in ("+5.000", "-4.000", "+3.000", "-2.000", "+1.000", "+0.000")
    ]


def test_what_was_cut_and_left_out_is_said(tmp_path: Path) -> None:
    explanation_page.write(explanation("word " * 50 + "beyond", cut=1234), tmp_path / "why.html")
    html = (tmp_path / "why.html").read_text(encoding="utf-8")
    assert "1,234 of its\n1,286 tokens were cut off" in html
    assert "The 30 of 52 words with the largest attribution." in html
    assert len(Page(html).tables[0]) == 31


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(EncT5Error, match=r"cannot write .*why\.html: No such file or directory; choose another file"):
        explanation_page.write(explanation(), tmp_path / "none" / "why.html")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(EncT5Error, match=r"cannot write .*folder\.html"):
        explanation_page.write(explanation(), tmp_path / "folder.html")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.html"]
