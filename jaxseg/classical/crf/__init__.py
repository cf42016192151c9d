"""Conditional random fields: exact, on the grid, fully connected."""
