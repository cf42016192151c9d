"""Tasks: what varies from one kind of dense prediction to another."""

from jaxseg.tasks.denoising import Denoising
from jaxseg.tasks.depth import Depth
from jaxseg.tasks.keypoints import Keypoints
from jaxseg.tasks.normals import Normals
from jaxseg.tasks.semantic import Semantic

TASKS = {
  "semantic": Semantic,
  "depth": Depth,
  "normals": Normals,
  "denoising": Denoising,
  "keypoints": Keypoints,
}
