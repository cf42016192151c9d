"""Bytes by kind, from lines as XLA writes them."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from jaxseg import mesh as mesh_lib
from jaxseg.analysis import collectives
from jaxseg.ops import conv

TEXT = """
HloModule jit_step
  %a = f32[2,3]{1,0} all-reduce(%x), replica_groups={{0,1,2,3}}, to_apply=%add
  %b = (f32[4]{0}, bf16[8]{0}) all-reduce(%x, %y), replica_groups=[2,4]<=[8]
  %c = f32[1,1,8,3]{3,2,1,0} collective-permute(%x), channel_id=1
  %d = s32[8,5]{1,0} all-gather(%x), replica_groups={{0,1},{2,3}}
  %e = pred[10]{0} reduce-scatter(%x), replica_groups={{0,1}}, to_apply=%add
  %f = (f32[6]{0}, f32[6]{0}) collective-permute-start(%x)
  %g = f32[6]{0} collective-permute-done(%f)
  %i = f32[4]{0} all-to-all(%x), replica_groups=mesh['a'=2,'b'=4,'c'=1] {'b'}
  %j = f32[4]{0} all-to-all(%x), replica_groups=mesh['a'=2,'b'=4] {'a','b':(1)2}
  %k = f32[4]{0} all-to-all(%x), replica_groups={}
  %h = f32[] add(%x, %y), metadata={op_name="all-reduce(x)"}
"""


def test_bytes_of_each_kind():
  found = collectives.traffic(TEXT, 8)
  # 2 * 3/4 * 24 and 2 * 3/4 * (16 + 16); 96 and 24; half of 160; 2 * 1/2 * 10.
  assert found == {
    "all-reduce": (2, 36 + 48),
    "collective-permute": (2, 96 + 24),
    "all-gather": (1, 80),
    "reduce-scatter": (1, 10),
    "all-to-all": (3, 12 + 12 + 14),  # among 4, 2 * 2 and all 8
  }
  with pytest.raises(ValueError, match="not known"):
    collectives.traffic("%a = f32[2] all-gather(%x), replica_groups=new", 8)


def test_a_program_of_eight_devices():
  """A mean over examples: one number, 2 * 7/8 * 4 bytes."""
  mesh = mesh_lib.make_mesh(8)
  x = jax.ShapeDtypeStruct(
    (16, 3), jnp.float32, sharding=mesh_lib.batched(mesh)
  )
  out = NamedSharding(mesh, PartitionSpec())
  total = jax.jit(lambda x: x.sum(), out_shardings=out).lower(x).compile()
  found = collectives.traffic(total.as_text(), 8)
  assert found == {"all-reduce": (1, 7.0)}


def test_rows_that_a_convolution_reads_of_its_neighbours():
  """A 5x5 reads two rows above and two below: 4 * 8 pixels * 6 channels."""
  mesh = mesh_lib.make_mesh(8, 4)
  rows = mesh_lib.batch_sharding(mesh, "image", 4)
  x = jax.ShapeDtypeStruct((2, 32, 8, 6), jnp.float32, sharding=rows)
  kernel = jnp.ones((5, 5, 6, 3))
  run = mesh_lib.traced(mesh, lambda x: conv.conv2d(x, kernel, padding=2))
  compiled = jax.jit(run, out_shardings=rows).lower(x).compile()
  found = collectives.traffic(compiled.as_text(), 8)
  assert found == {"collective-permute": (2, 4 * 8 * 6 * 4)}
