"""Multiscale combinatorial grouping, one step per module."""
