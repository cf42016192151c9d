"""Methods without parameters, by name: nothing is trained.

A method is a frozen dataclass of its options. `method(image)` predicts one
picture, uint8 (h, w, 3), on the host; `measure(pred, truth)` makes one record
of it, `result(records)` the scores of a set, `files(pred)` and `pictures(image,
pred)` what is written and shown. `truth` holds `regions` int (a, h, w) and
`boundaries` bool (a, h, w) of several people.
"""

from jaxseg.methods.contours import Gpb, Ucm
from jaxseg.methods.superpixels import Slic

METHODS = {"gpb": Gpb, "slic": Slic, "ucm": Ucm}
