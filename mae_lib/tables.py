"""Tables that a command publishes in `results/` and a page opens instead of computing them.

NAME.csv is the table, and NAME.json its provenance.
"""

import pandas as pd

from mae_lib.folders import published_folder


def published_table(name: str, **options: object) -> pd.DataFrame:
    """The table NAME.csv; `options` go to `pandas.read_csv`. Raises ValueError if there is none."""
    file = published_folder() / f"{name}.csv"
    if not file.is_file():
        raise ValueError(f"{file} is not there: python -m mae_lib table {name} makes it; or choose another preset")
    return pd.read_csv(file, **options)
