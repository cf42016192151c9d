"""gPb, the globalized probability of boundary, one cue per module."""
