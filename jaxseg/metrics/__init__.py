"""Metrics: triples (init, update, result) over a whole set, see types."""

from jaxseg.metrics.chroma import chroma
from jaxseg.metrics.confusion import confusion
from jaxseg.metrics.contours import contours
from jaxseg.metrics.depth import depth
from jaxseg.metrics.image import image
from jaxseg.metrics.keypoints import nme, oks, pck
from jaxseg.metrics.lines import lines
from jaxseg.metrics.normals import normals
from jaxseg.metrics.number_of_clicks import number_of_clicks
from jaxseg.metrics.partition import partition
from jaxseg.metrics.surface import surfaces

__all__ = [
  "chroma",
  "confusion",
  "contours",
  "depth",
  "image",
  "lines",
  "nme",
  "normals",
  "number_of_clicks",
  "oks",
  "partition",
  "pck",
  "surfaces",
]
