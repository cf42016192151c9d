"""Checkpoints of three kinds are read, with what lies beside the weights."""

import sys

import h5py
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxseg.types import UserError
from jaxseg.weights import readers
from tests.weights import torch_bytes as tb

RNG = np.random.default_rng(0)
ARRAYS = {
  "conv.weight": RNG.normal(size=(4, 3, 2, 2)).astype(np.float32),
  "bn.bias": RNG.normal(size=(4,)).astype(np.float32),
  "bn.num_batches_tracked": np.array(7, np.int64),
}


def check(tensors, want=ARRAYS):
  assert list(tensors) == list(want)
  for name, array in want.items():
    assert tensors[name].dtype == array.dtype
    np.testing.assert_array_equal(tensors[name], array)


@pytest.mark.parametrize("stream", [False, True])
def test_state_dict(tmp_path, stream):
  tensors, meta = readers.read(tb.save(tmp_path / "a.pth", ARRAYS, stream))
  check(tensors)
  assert meta["format"] == ("torch-stream" if stream else "torch-zip")


def test_the_ending_does_not_matter(tmp_path):
  check(readers.read(tb.save(tmp_path / "a.weights", ARRAYS))[0])


@pytest.mark.parametrize(
  "dtype",
  ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8"],
)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("stream", [False, True])
def test_dtypes(tmp_path, dtype, order, stream):
  want = np.array([1, 2, 3, 100], dtype)
  raw = want.astype(want.dtype.newbyteorder(order)).tobytes()
  if stream:
    piece = tb.table(x=tb.tensor(tb.storage("0", dtype, 4, b"N"), (2, 2)))
    tb.stream_file(
      tmp_path / "a.pth", piece, {"0": (4, raw)}, little=order == "<"
    )
  else:
    piece = tb.table(x=tb.tensor(tb.storage("0", dtype, 4), (2, 2)))
    name = "little" if order == "<" else "big"
    tb.zip_file(tmp_path / "a.pth", piece, {"0": raw}, order=name)
  check(readers.read(tmp_path / "a.pth")[0], {"x": want.reshape(2, 2)})


def test_bool(tmp_path):
  want = {"x": np.array([True, False, True])}
  check(readers.read(tb.save(tmp_path / "a.pth", want))[0], want)


def test_bfloat16_becomes_float32(tmp_path):
  """The bits of float32's upper half: 1 = 3f80, -2.5 = c020."""
  raw = np.array([0x3F80, 0xC020], "<u2").tobytes()
  piece = tb.table(x=tb.tensor(tb.storage("0", "bfloat16", 2), (2,)))
  tensors, _ = readers.read(tb.zip_file(tmp_path / "a.pt", piece, {"0": raw}))
  check(tensors, {"x": np.array([1, -2.5], np.float32)})


def test_views_of_one_storage(tmp_path):
  """Strides, offsets, a stride of 0, no axis, no numbers."""
  base = np.arange(12, dtype=np.float32)
  place = tb.storage("k", "float32", 12)
  piece = tb.table(
    transposed=tb.tensor(place, (4, 3), (1, 4)),
    part=tb.tensor(place, (2, 2), (4, 2), 3),
    repeated=tb.tensor(place, (3, 2), (0, 1), 10),
    scalar=tb.tensor(place, (), (), 11),
    empty=tb.tensor(place, (0, 5)),
  )
  path = tb.zip_file(tmp_path / "a.pth", piece, {"k": base.tobytes()})
  tensors, _ = readers.read(path)
  want = {
    "transposed": base.reshape(3, 4).T,
    "part": np.array([[3, 5], [7, 9]], np.float32),
    "repeated": np.array([[10, 11]] * 3, np.float32),
    "scalar": np.float32(11),
    "empty": np.zeros((0, 5), np.float32),
  }
  check(tensors, want)
  assert all(x.flags.c_contiguous for x in tensors.values())


def test_views_of_the_old_stream(tmp_path):
  """Storages could be views there: (key, offset, length)."""
  base = np.arange(6, dtype=np.float32)
  view = tb.row(tb.text("v"), tb.number(2), tb.number(3))
  piece = tb.table(x=tb.tensor(tb.storage("r", "float32", 6, view), (2,), (2,)))
  path = tb.stream_file(tmp_path / "a.pth", piece, {"r": (6, base.tobytes())})
  check(readers.read(path)[0], {"x": np.array([2, 4], np.float32)})


def one(value=1.0):
  raw = np.float32(value).tobytes()
  return tb.tensor(tb.storage("0", "float32", 1), (1,)), {"0": raw}


@pytest.mark.parametrize(
  ("wrap", "entry"),
  [
    (lambda x: tb.table(state_dict=x, epoch=tb.number(3)), "state_dict"),
    (lambda x: tb.table(optimizer=tb.table(w=x), model=x), "model"),
    (lambda x: tb.table(state=b"N", model_state=x), "model_state"),
    (
      lambda x: tb.table(model=tb.table(state_dict=x, best=tb.number(1))),
      "model.state_dict",
    ),
  ],
)
def test_training_checkpoints(tmp_path, wrap, entry):
  x, storages = one()
  path = tb.zip_file(tmp_path / "a.pth", wrap(tb.table(w=x)), storages)
  tensors, meta = readers.read(path)
  check(tensors, {"w": np.ones(1, np.float32)})
  assert meta["entry"] == entry


def test_nested_dictionaries_have_dotted_names(tmp_path):
  x, storages = one()
  piece = tb.table(stem=tb.table(w=x), head=tb.table(fc=tb.table(w=x)))
  tensors, _ = readers.read(tb.zip_file(tmp_path / "a", piece, storages))
  assert list(tensors) == ["stem.w", "head.fc.w"]


def test_what_lies_beside_the_weights(tmp_path):
  """Namespace with attributes, a set, a NumPy scalar, BUILD on a state_dict."""
  x, storages = one()
  state = (
    tb.ordered
    + b"("
    + tb.text("w")
    + x
    + b"u"
    + tb.table(_metadata=b"}")
    + b"b"
  )
  scalar = tb.call(
    "numpy._core.multiarray",
    "scalar",
    tb.call("numpy", "dtype", tb.text("f8")) + tb.row(b"N") + b"b",
    tb.call("_codecs", "encode", tb.text("abc"), tb.text("latin1")),
  )
  piece = tb.table(
    args=tb.word("argparse", "Namespace") + b")\x81" + tb.table(lr=b"N") + b"b",
    classes=tb.call("__builtin__", "set", b"](K\x01K\x02e"),
    best=scalar,
    dtype=tb.word("torch", "float32"),
    state_dict=state,
  )
  tensors, _ = readers.read(tb.zip_file(tmp_path / "a", piece, storages))
  check(tensors, {"w": np.ones(1, np.float32)})


def test_parameters_and_bytes_with_a_dtype(tmp_path):
  x, storages = one(2)
  raw = (
    tb.row(
      tb.text("storage"),
      tb.word("torch.storage", "UntypedStorage"),
      tb.text("b"),
      tb.text("cpu"),
      tb.number(8),
    )
    + b"Q"
  )
  rebuilt = tb.call(
    "torch._utils",
    "_rebuild_tensor_v3",
    raw,
    tb.number(1),
    tb.row(tb.number(2)),
    tb.row(tb.number(1)),
    b"\x89",
    tb.ordered,
    tb.word("torch", "uint16"),
  )
  subclass = tb.call(
    "torch._tensor",
    "_rebuild_from_type_v2",
    tb.word("torch._utils", "_rebuild_parameter"),
    tb.word("torch", "Tensor"),
    tb.row(x, b"\x88", tb.ordered),
    b"}",
  )
  piece = tb.table(
    p=tb.call("torch._utils", "_rebuild_parameter", x, b"\x88", tb.ordered),
    s=subclass,
    t=rebuilt,
  )
  storages["b"] = np.arange(4, dtype="<u2").tobytes()
  tensors, _ = readers.read(tb.zip_file(tmp_path / "a", piece, storages))
  two = np.array([2], np.float32)
  check(tensors, {"p": two, "s": two, "t": np.array([1, 2], np.uint16)})


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.module."])
def test_wrappers_come_off(tmp_path, prefix):
  wrapped = {prefix + k: v for k, v in ARRAYS.items()}
  check(readers.read(tb.save(tmp_path / "a.pth", wrapped))[0])


def test_a_module_named_module_stays(tmp_path):
  want = {"module.w": np.ones(1), "head.w": np.ones(1)}
  check(readers.read(tb.save(tmp_path / "a.pth", want))[0], want)


def test_safetensors(tmp_path):
  half = np.array([1.5, -2], ml_dtypes.bfloat16)
  save_file({**ARRAYS, "x": half}, tmp_path / "a.safetensors", {"k": "v"})
  tensors, meta = readers.read(tmp_path / "a.safetensors")
  want = {**ARRAYS, "x": np.array([1.5, -2], np.float32)}
  check({k: tensors[k] for k in want}, want)
  assert len(tensors) == len(want)
  assert meta == {"format": "safetensors", "metadata": {"k": "v"}}


def keras(path, root="", layers=True):
  """The layout of Keras 2: root attributes, a group per layer."""
  kernel = RNG.normal(size=(3, 3, 2, 4)).astype(np.float32)
  gamma = np.ones(4, np.float32)
  with h5py.File(path, "w") as f:
    top = f.create_group(root) if root else f
    if layers:
      top.attrs["layer_names"] = [b"conv", b"bn"]
    top["conv/conv/kernel:0"] = kernel
    top["bn/bn/gamma:0"] = gamma
    if root:
      f["optimizer_weights/iteration:0"] = np.array(3)
  return {"bn/gamma": gamma, "conv/kernel": kernel}


@pytest.mark.parametrize("root", ["", "model_weights"])
def test_keras_layers(tmp_path, root):
  want = keras(tmp_path / "a.h5", root)
  tensors, meta = readers.read(tmp_path / "a.h5")
  check(tensors, want)
  assert meta == {"format": "keras-h5", "layout": "layers"}


def test_keras_1_has_names_without_the_layer(tmp_path):
  with h5py.File(tmp_path / "a.h5", "w") as f:
    f.attrs["layer_names"] = [b"conv"]
    f["conv/conv_W_1:0"] = np.ones(3)
  assert list(readers.read(tmp_path / "a.h5")[0]) == ["conv/conv_W_1"]


def test_keras_layers_that_share_names(tmp_path):
  with h5py.File(tmp_path / "a.h5", "w") as f:
    f.attrs["layer_names"] = [b"a", b"b"]
    f["a/x/kernel:0"] = np.ones(3)
    f["b/x/kernel:0"] = np.zeros(3)
  tensors, _ = readers.read(tmp_path / "a.h5")
  check(tensors, {"a/x/kernel": np.ones(3), "b/x/kernel": np.zeros(3)})


def test_keras_3(tmp_path):
  with h5py.File(tmp_path / "a.weights.h5", "w") as f:
    f["layers/conv2d/vars/0"] = np.ones((3, 3, 1, 2))
    f.create_group("layers/flatten/vars")
    f["layers/conv2d/vars/1"] = np.zeros(2)
  tensors, meta = readers.read(tmp_path / "a.weights.h5")
  assert list(tensors) == ["layers/conv2d/vars/0", "layers/conv2d/vars/1"]
  assert meta["layout"] == "paths"


def test_without_h5py(tmp_path, monkeypatch):
  keras(tmp_path / "a.h5")
  monkeypatch.setitem(sys.modules, "h5py", None)
  with pytest.raises(UserError, match=r"pip install 'jaxseg\[weights\]'"):
    readers.read(tmp_path / "a.h5")
