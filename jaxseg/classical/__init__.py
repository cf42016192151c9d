"""Segmentation without networks, and what refines a network's answer."""
