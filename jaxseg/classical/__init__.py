"""Bottom-up segmentation: what there was before networks, and still is."""
