"""Pages as a reader sees them."""

from html.parser import HTMLParser

VOID = {"meta", "br", "wbr", "link", "img", "input"}


class Page(HTMLParser):
    """Collects what a page loads or links, its tables and its mistakes, and checks that its tags are balanced."""

    def __init__(self, html: str):
        super().__init__()
        self.html, self.open, self.links, self.tags, self.ids = html, [], [], [], []
        self.tables, self.quotes = [], []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href", "srcset", "data")]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "blockquote":
            self.quotes.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "blockquote" in self.open:
            self.quotes[-1] += data
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data.strip()
