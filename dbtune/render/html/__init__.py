"""The report of ``dbtune explain`` as one HTML page: it needs no other file, no network, and no script to be read."""

from dbtune.render.html.page import page

__all__ = ["page"]
