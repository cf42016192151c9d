"""Methods beside the road of network and task, by name.

A method is a frozen dataclass of its options. `method(image)` predicts one
picture, uint8 (h, w, 3), on the host; `measure(pred, truth)` makes one record
of it, `result(records)` the scores of a set, `files(pred)` and `pictures(image,
pred)` what is written and shown. `truth` holds `regions` int (a, h, w) and
`boundaries` bool (a, h, w) of several people.

METHODS have no parameters: nothing is trained. LEARNED go on from what a
trained network says, their argument `network`; OF_TASK says of which task.
"""

from jaxseg.methods.contours import gpb_lines, gpb_ucm
from jaxseg.methods.grouping import Mcg
from jaxseg.methods.learned import (
  Network,
  learned_lines,
  learned_slic,
  learned_ucm,
)
from jaxseg.methods.superpixels import slic_segments

__all__ = ["LEARNED", "METHODS", "OF_TASK", "Network"]

METHODS = {"gpb": gpb_lines, "mcg": Mcg, "slic": slic_segments, "ucm": gpb_ucm}
LEARNED = {
  "learned_lines": learned_lines,
  "learned_slic": learned_slic,
  "learned_ucm": learned_ucm,
}
OF_TASK = {
  "learned_lines": "boundaries",
  "learned_slic": "superpixels",
  "learned_ucm": "boundaries",
}
