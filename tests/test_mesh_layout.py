"""Which axis lies over which devices, and what cannot be split."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import mesh as mesh_lib
from jaxseg.types import UserError


def test_what_is_split_over_what():
  spec = {
    "image": ("data", "space"),
    "label": ("data", "space"),
    "depth": ("data", "space"),
    "normal": ("data", "space"),
    "keypoints": ("data",),
    "_mask": ("data",),
    "_has_label": ("data",),
    "regions": ("data",),
  }
  ranks = {"image": 4, "label": 3, "depth": 3, "normal": 4, "keypoints": 4}
  mesh = mesh_lib.make_mesh(8, 4)
  assert dict(mesh.shape) == {"data": 2, "space": 4}
  for key, want in spec.items():
    found = mesh_lib.batch_sharding(mesh, key, ranks.get(key, 1)).spec
    assert tuple(found) == want, key
  clips = mesh_lib.batch_sharding(mesh, "image", 5).spec
  assert tuple(clips) == ("data", None, "space")
  whole = mesh_lib.batch_sharding(mesh_lib.make_mesh(8), "image", 4).spec
  assert tuple(whole) == ("data",)


def test_the_longest_axis_that_divides_is_spread():
  mesh = mesh_lib.make_mesh(8, 2)
  shapes = {
    "kernel": (3, 3, 64, 128),
    "odd": (3, 3, 64, 127),
    "none": (129, 129),
    "small": (128,),
  }
  tree = {k: jax.ShapeDtypeStruct(v, jnp.float32) for k, v in shapes.items()}
  found = mesh_lib.state_sharding(mesh, tree, True)
  specs = {k: tuple(v.spec) for k, v in found.items()}
  assert specs == {
    "kernel": (None, None, None, "data"),
    "odd": (None, None, "data"),
    "none": (),
    "small": (),
  }


def test_what_cannot_be_split_is_refused():
  with pytest.raises(UserError, match=r"space = 3 does not divide the 8"):
    mesh_lib.make_mesh(8, 3)
  mesh = mesh_lib.make_mesh(8, 4)
  mesh_lib.check_batch_size(mesh, 2)
  with pytest.raises(UserError, match=r"by 2 group\(s\) of 4 devices"):
    mesh_lib.check_batch_size(mesh, 3)
  mesh_lib.check_height(mesh, 64, 16)
  with pytest.raises(UserError, match=r"60 rows.* multiple of 64 .*as 64"):
    mesh_lib.check_height(mesh, 60, 16)
  bad = {"image": np.zeros((2, 62, 8, 3), np.uint8)}
  with pytest.raises(UserError, match="62 rows"):
    mesh_lib.put_batch(mesh, bad)
  mesh_lib.check_height(mesh_lib.make_mesh(8), 61, 16)  # nothing is split


def test_processes_share_devices_evenly(monkeypatch):
  """As two processes would see eight devices, four of each."""
  names = [f"{process}.{i}" for process in (0, 1) for i in range(4)]
  devices = [
    types.SimpleNamespace(id=i, process_index=int(name[0]), name=name)
    for i, name in enumerate(names)
  ]
  some = mesh_lib._of_each(devices[::-1], 2)
  assert [d.name for d in some] == ["0.0", "0.1", "1.0", "1.1"]
  assert [d.name for d in mesh_lib._of_each(devices[::-1], 0)] == names
  monkeypatch.setattr(jax, "process_count", lambda: 2)
  with pytest.raises(UserError, match=r"devices = 3 .* by 2 processes"):
    mesh_lib.make_mesh(3)
  with pytest.raises(UserError, match=r"space = 8 .* 4 device\(s\) of each"):
    mesh_lib.make_mesh(0, 8)
