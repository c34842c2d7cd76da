"""The page: what it is made of, and what a person sees and hears in a browser."""

import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from enct5.inference.predictor import Predictor
from helpers.html import Page
from helpers.serving import PAIRS, TEXTS, Asked, listening

pytestmark = pytest.mark.usefixtures("one_thread")

Predictors = dict[str, Predictor]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SMILING = "\U0001f600 where is my parcel"


def test_it_needs_nothing_from_elsewhere(servers: Callable[[str], Asked]) -> None:
    server = servers("single")
    response = server.get("/")
    page = Page(response.text)
    assert sorted(link for link in page.links if link) == ["data:,", "docs", "docs", "page.css", "page.js"]
    assert "style" not in page.tags
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "unsafe" not in response.headers["content-security-policy"]
    assert set(re.findall(r'for="(\w+)"', response.text)) == {"key", "model", "first", "second", "explain"}
    for file, kind in (("page.css", "text/css"), ("page.js", "text/javascript")):
        found = server.get(f"/{file}")
        assert found.headers["content-type"].startswith(kind)
        assert "://" not in found.text
        assert "innerHTML" not in found.text


def test_the_description_of_the_api_lists_every_route(servers: Callable[[str], Asked]) -> None:
    server = servers("single")
    described = server.get("/openapi.json").json()["paths"]
    response = server.get("/docs")
    page = Page(response.text)
    assert [link for link in page.links if "://" in str(link)] == []
    assert "default-src 'none'" in response.headers["content-security-policy"]
    for path, methods in described.items():
        for method in methods:
            assert f"<code>{method.upper()} {path}</code>" in response.text
            if method == "get" and "{" not in path:
                assert server.get(path).status_code == 200
    assert len(described) > 20


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    with sync.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def url(predictors: Predictors) -> Iterator[str]:
    with listening(predictors) as address:
        yield address


@pytest.fixture
def page(browser: Any, url: str) -> Iterator[Any]:
    """The page, which asks nobody else and has no error in its console."""
    opened = browser.new_page()
    said: list[str] = []
    opened.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: said.append(str(error)))
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(f"{url}/")
    opened.wait_for_selector("#model option", state="attached")
    yield opened
    assert [address for address in asked if not address.startswith(url)] == []
    assert [line for line in said if "(Unprocessable Entity)" not in line] == []
    opened.close()


def predict(page: Any, model: str, *texts: str, explain: bool = False) -> str:
    """Fill the form in and send it by the keyboard; what is said when the result is there."""
    page.select_option("#model", model)
    for field, text in zip(("#first", "#second"), texts, strict=False):
        page.fill(field, text)
    if explain:
        page.check("#explain")
    page.press("#first", "Control+Enter")
    page.wait_for_selector("#result h2")
    return page.inner_text("#status")


def cells(page: Any, caption: str) -> list[list[str]]:
    table = page.locator("table", has=page.locator("caption", has_text=caption)).first
    return [
        [cell.strip() for cell in row.locator("th, td").all_inner_texts()] for row in table.locator("tbody tr").all()
    ]


@pytest.mark.slow
def test_a_label(page: Any, predictors: Predictors) -> None:
    best = predictors["single"].predict(TEXTS[0], all_scores=True)
    assert predict(page, "single", TEXTS[0]) == best[0]["label"]
    assert [[row[0], row[1], row[-1]] for row in cells(page, "Labels")] == [
        [one["label"], f"{one['score']:.{3 if one['score'] >= 0.01 else 4}f}", "" if place else "yes"]
        for place, one in enumerate(best)
    ]


@pytest.mark.slow
def test_several_labels(page: Any, predictors: Predictors) -> None:
    wanted = predictors["multi"].predict(TEXTS[1])
    assert predict(page, "multi", TEXTS[1]) == (", ".join(wanted["labels"]) or "no label")
    assert [row[0] for row in cells(page, "Labels") if row[-1] == "yes"] == wanted["labels"]


@pytest.mark.slow
def test_a_number(page: Any, predictors: Predictors) -> None:
    wanted = predictors["value"].predict(TEXTS[0])["value"]
    assert float(predict(page, "value", TEXTS[0])) == pytest.approx(wanted, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("text", [TEXTS[0], SMILING, "<b>where</b> & is"])
def test_entities_are_marked_in_the_text(page: Any, predictors: Predictors, text: str) -> None:
    found = predictors["tags"].predict(text)["entities"]
    assert found
    predict(page, "tags", text)
    marks = page.locator("#result mark").all()
    assert [mark.evaluate("mark => mark.firstChild.data") for mark in marks] == [one["text"] for one in found]
    assert [row[:3] for row in cells(page, "Entities")] == [
        [" ".join(one["text"].split()), one["label"], f"{one['start']} to {one['end']}"] for one in found
    ]
    whole = page.locator("#result .text").evaluate("shown => shown.textContent")
    for one in reversed(found):
        text = text[: one["end"]] + one["label"] + text[one["end"] :]
    assert whole == text


@pytest.mark.slow
def test_two_texts_and_what_moved_the_label(page: Any, predictors: Predictors) -> None:
    page.select_option("#model", "single")
    assert not page.is_visible("#second")
    page.select_option("#model", "match")
    assert page.inner_text("label[for=second]") == "Second text (document)"
    explanation = predictors["match"].explain(PAIRS[0])
    assert predict(page, "match", *PAIRS[0], explain=True) == explanation.prediction["label"]
    label = explanation.labels[0]
    rows = cells(page, f"Words that moved {label.label} most")
    shares = {row[0]: (float(row[1]), row[2]) for row in rows}
    strongest = max(range(len(label.attribution)), key=lambda place: abs(label.attribution[place]))
    assert rows[0][0] == explanation.words[strongest].text
    for word, share in zip(explanation.words, label.attribution, strict=True):
        if word.text and abs(share) > 0.01:
            assert shares[word.text][1] == ("against" if share < 0 else "for")
    texts = [part.evaluate("part => part.textContent") for part in page.locator("#result .text").all()]
    assert texts == list(PAIRS[0])


@pytest.mark.slow
def test_several_tasks(browser: Any, several: Predictor) -> None:
    wanted = several.predict(TEXTS[0])
    with listening({"desk": several}) as address:
        page = browser.new_page()
        page.goto(f"{address}/")
        page.wait_for_selector("#model option", state="attached")
        said = predict(page, "desk", TEXTS[0])
        assert f"topic: {wanted['topic']['label']} · " in said
        assert page.locator("#result h3").all_inner_texts() == list(wanted)
        assert [row[0] for row in cells(page, "Labels")] == [wanted["topic"]["label"]]
        marks = page.locator("#result mark").evaluate_all("marks => marks.map(mark => mark.firstChild.data)")
        assert marks == [one["text"] for one in wanted["places"]["entities"]]
        page.close()


@pytest.mark.slow
def test_it_is_heard_and_used_without_a_mouse(page: Any) -> None:
    """Every field has a name, the order of the keyboard is that of the page, and what happens is announced."""
    page.select_option("#model", "single")
    focused = []
    page.focus("#model")
    for _ in range(4):
        focused.append(page.evaluate("document.activeElement.id || document.activeElement.type"))
        page.keyboard.press("Tab")
    assert focused == ["model", "first", "explain", "submit"]
    for role, name in (("combobox", "Model"), ("textbox", "Text"), ("checkbox", "Also show"), ("button", "Predict")):
        assert page.get_by_role(role, name=name).first.is_visible()
    assert page.get_by_role("status").count() == 1
    page.focus("#first")
    page.keyboard.type("where is my parcel")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#result table")
    assert page.get_by_role("table", name="Labels").is_visible()
    assert page.get_by_role("heading", name="Result").is_visible()


@pytest.mark.slow
def test_a_narrow_screen_shows_all(page: Any) -> None:
    page.set_viewport_size({"width": 320, "height": 600})
    predict(page, "single", "parcel" * 40, explain=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.slow
def test_a_refusal_is_said(page: Any) -> None:
    page.select_option("#model", "single")
    page.fill("#first", "a" * 100_001)
    page.evaluate("document.getElementById('ask').requestSubmit()")
    page.wait_for_selector("#status.failed")
    assert page.inner_text("#status") == "a text has 100001 characters; the most are 100000"


@pytest.mark.slow
def test_a_key_is_asked_for(browser: Any, predictors: Predictors) -> None:
    with listening({"single": predictors["single"]}, api_key="s3cret") as address:
        page = browser.new_page()
        page.goto(f"{address}/")
        page.wait_for_selector("#status.failed")
        assert "a key is needed" in page.inner_text("#status")
        page.fill("#key", "s3cret")
        page.press("#key", "Tab")
        page.wait_for_selector("#model option", state="attached")
        assert predict(page, "single", TEXTS[0]) == predictors["single"].predict(TEXTS[0])["label"]
        page.close()
