"""Whether HTML is well formed."""

from __future__ import annotations

from html.parser import HTMLParser

_VOID = {"br", "input", "path", "rect"}


class _Balanced(HTMLParser):
    """Checks that every element that opens also closes, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        """Opens."""
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Closes what was opened last."""
        assert self.open.pop() == tag


def well_formed(html: str) -> str:
    """The HTML, after a look at whether every element that opens also closes, in order."""
    parser = _Balanced()
    parser.feed(html)
    assert not parser.open
    return html
