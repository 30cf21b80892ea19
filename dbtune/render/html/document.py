"""A page of one file: style inside, no script, nothing fetched."""

from __future__ import annotations

from importlib.resources import files

from dbtune.render.html.elements import Html, element, join


def document(title: str, *content: str) -> str:
    """Return an HTML document with the pages' style; ``content`` is escaped unless it is :class:`Html`."""
    style = Html(files("dbtune.render.html").joinpath("page.css").read_text(encoding="utf-8"))
    more = Html(files("dbtune.render.html").joinpath("chart.css").read_text(encoding="utf-8"))
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content="default-src 'none'; style-src 'unsafe-inline'"),
        element("title", title),
        element("style", style, more),
    )
    return join(
        (
            Html("<!DOCTYPE html>\n"),
            Html('<html lang="en">\n'),
            head,
            element("body", element("main", element("p", "dbtune", class_="product"), element("h1", title), *content)),
            Html("</html>\n"),
        )
    )
