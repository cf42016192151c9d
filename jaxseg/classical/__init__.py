"""The classical half: partitions, superpixels, random fields, seeds."""
