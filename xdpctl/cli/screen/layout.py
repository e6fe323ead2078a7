"""Where things stand on the screen, by how large it is: a table at a time, or all at once."""

from __future__ import annotations

WIDTHS = [(0, "-narrow"), (130, "-wide")]
HEIGHTS = [(0, "-low"), (18, "-middle"), (36, "-high")]

CSS = """
Screen { overflow: hidden; }
#heading, #tabs, #keys { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
#heading { text-style: reverse; }
#graphs { height: 6; }
Graph { width: 1fr; margin-right: 2; }
Tables { height: 1fr; }
RowTable { display: none; }
RowTable.-active { display: block; }
#filter { display: none; height: 1; border: none; padding: 0; background: ansi_default; }
.-filtering #filter { display: block; }
.-filtering #keys { display: none; }
.-low #graphs { display: none; }
.-high #graphs { height: 9; }
.-wide.-high #tabs { display: none; }
.-wide.-high Tables { layout: grid; grid-size: 2; grid-rows: 3fr 3fr 2fr 2fr; grid-gutter: 1 2; }
.-wide.-high RowTable { display: block; }
"""
