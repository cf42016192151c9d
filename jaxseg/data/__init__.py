"""Data sets, transforms and the input pipeline."""
