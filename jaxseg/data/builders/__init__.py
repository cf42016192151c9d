"""TFDS builders for what TFDS lacks."""
