"""ImageNet: its sets, packed files, cue conflicts, and the linear probe of the MAE paper."""
