"""Which heads have a loss, with what weight, under what name."""

import numpy as np

from jaxseg.tasks import auxiliary


def test_the_main_head_and_those_beside_it():
  out = {
    k: np.full(3, i) for i, k in enumerate(["aux", "logits", "depth", "aux_2"])
  }
  found = list(auxiliary.heads(out, "logits", 0.4))
  assert [(h.values[0], h.weight, h.prefix) for h in found] == [
    (0, 0.4, "aux/"),
    (1, 1.0, ""),
    (3, 0.4, "aux_2/"),
  ]
