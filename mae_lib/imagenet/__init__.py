"""ImageNet: its sets, cue conflicts, the linear probe of the MAE paper, and Section 3 on them."""
