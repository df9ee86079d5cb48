"""Interactive figures that run in the page alone: the tree, a mask, and what Algorithm 1 finds."""
