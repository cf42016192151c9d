"""Numbers that nothing can mean are refused by their keys."""

import pytest

from jaxseg import defaults, ranges
from jaxseg.types import UserError


@pytest.mark.parametrize(
  ("key", "value", "says"),
  [
    ("optim.lr", float("nan"), "optim.lr = nan: expected a number of ordinary"),
    ("task.min_m", float("inf"), "task.min_m = inf: expected a number"),
    ("steps", 1 << 62, f"steps = {1 << 62}: expected a number of ordinary"),
    ("inference.scales", (1.0, float("nan")), r"scales = \[1.0, nan\]: expect"),
    ("log_every", 0, "log_every = 0: expected at least 1"),
    ("ema_decay", 1.0, r"ema_decay = 1.0: expected \[0, 1\)"),
    ("model.width", 0, "model.width = 0: expected 1 to 65536"),
    ("model.width", 70_000, "model.width = 70000: expected 1 to 65536"),
    ("model.depth", 65, "model.depth = 65: expected 1 to 64"),
    ("model.hidden", -1, "hidden = -1: expected 0 to 65536"),
    ("model.dtype", "float8", "dtype = 'float8': expected one of float32"),
  ],
)
def test_refused_by_key(key, value, says):
  config = defaults.get_config()
  ranges.check(config)
  config.update_from_flattened_dict({key: value})
  with pytest.raises(UserError, match=says) as error:
    ranges.check(config)
  assert "\n" not in str(error.value)


def test_the_ends_are_good():
  config = defaults.get_config()
  config.update_from_flattened_dict(
    {
      "model.hidden": 0,
      "model.depth": 64,
      "model.width": 65_536,
    }
  )
  ranges.check(config)
