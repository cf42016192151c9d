"""Tasks: what varies from one kind of dense prediction to another."""

from jaxseg.tasks.boundaries import Boundaries
from jaxseg.tasks.clicks import Clicks
from jaxseg.tasks.colorization import Colorization
from jaxseg.tasks.denoising import Denoising
from jaxseg.tasks.depth import Depth
from jaxseg.tasks.depth_adaptive import DepthAdaptive
from jaxseg.tasks.depth_bins import DepthBins
from jaxseg.tasks.depth_ordinal import DepthOrdinal
from jaxseg.tasks.keypoints import Keypoints
from jaxseg.tasks.multi import Multi
from jaxseg.tasks.normals import Normals
from jaxseg.tasks.semantic import Semantic
from jaxseg.tasks.superpixels import Superpixels
from jaxseg.tasks.video_depth import VideoDepth

TASKS = {
  "semantic": Semantic,
  "depth": Depth,
  "depth_adaptive": DepthAdaptive,
  "depth_bins": DepthBins,
  "depth_ordinal": DepthOrdinal,
  "normals": Normals,
  "boundaries": Boundaries,
  "denoising": Denoising,
  "colorization": Colorization,
  "keypoints": Keypoints,
  "clicks": Clicks,
  "multi": Multi,
  "superpixels": Superpixels,
  "video_depth": VideoDepth,
}
