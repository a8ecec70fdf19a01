"""Where rows come from: see `mezzotint.sources`, which the schema's draft needs too."""

from mezzotint.sources import Source, open_source

__all__ = ["Source", "open_source"]
