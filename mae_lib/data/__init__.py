"""The real data sets of the paper's Section 3, for whoever has them."""
