"""A table of words on a page, which is read row by row."""

import pandas as pd


def rows_html(table: pd.DataFrame) -> str:
    """A table as HTML, without its index; a phone shows each row as a block, each cell under the name of its column."""
    return table.to_html(index=False, border=0, classes="mae-rows")
