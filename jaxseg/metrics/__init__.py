"""Metrics: triples (init, update, result) over a whole set, see types."""

from jaxseg.metrics.confusion import confusion
from jaxseg.metrics.depth import depth
from jaxseg.metrics.keypoints import nme, oks, pck

__all__ = ["confusion", "depth", "nme", "oks", "pck"]
