"""A claim of the paper, its rule and its verdict: data in, data out."""
