"""Random walker, seeded cut, GrabCut: oracles, scikit-image, OpenCV."""

import cv2
import numpy as np
import pytest
from skimage import segmentation
from sklearn import datasets

from jaxseg.classical import grabcut, random_walker
from jaxseg.classical.crf import exact, grid
from jaxseg.types import UserError


def _scene(seed, h=60, w=80, noise=8.0):
  """A textured blob on a textured ground; levels of 255, and its truth."""
  rng = np.random.default_rng(seed)
  y, x = np.mgrid[:h, :w]
  radius = 16 + 4 * np.sin(3 * np.arctan2(y - h / 2, x - w / 2) + seed)
  truth = (y - h / 2) ** 2 + (x - w / 2) ** 2 < radius**2
  ground = np.array([[70, 110, 60], [100, 130, 90]])[((x // 9 + y // 7) % 2)]
  body = np.array([[190, 80, 60], [150, 60, 90]])[((x + 2 * y) // 11 % 2)]
  image = np.where(truth[..., None], body, ground)
  image = image + rng.normal(0, noise, image.shape)
  return np.clip(np.rint(image), 0, 255).astype(np.uint8), truth


def _iou(a, b):
  return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize("channels", [1, 3])
def test_random_walker_is_that_of_scikit_image(channels):
  image = _scene(0)[0][:40, :50] / 255
  image = image[..., 0] if channels == 1 else image
  seeds = np.zeros((40, 50), int)
  seeds[2:4, 2:4], seeds[28:31, 38:41], seeds[38, 3] = 1, 2, 4
  labels, p = random_walker.random_walker(image, seeds, 90)
  ids = np.where(seeds == 4, 3, seeds)
  want = segmentation.random_walker(
    image,
    ids,
    beta=90,
    mode="bf",
    return_full_prob=True,
    channel_axis=-1 if channels == 3 else None,
  )
  np.testing.assert_allclose(p, want, atol=1e-6)
  np.testing.assert_array_equal(labels, np.array([1, 2, 4])[want.argmax(0)])
  assert len(np.unique(labels)) == 3


def test_a_walker_on_a_line_is_a_ramp():
  seeds = np.array([[1, 0, 0, 0, 2]])
  _, p = random_walker.random_walker(np.ones((1, 5)), seeds)
  np.testing.assert_allclose(p[0, 0], [1, 0.75, 0.5, 0.25, 0], atol=1e-8)
  np.testing.assert_allclose(p.sum(0), 1)


def test_seeds_of_the_walker_that_cannot_be():
  image = np.zeros((3, 4))
  for seeds in (np.zeros((3, 4), int), np.eye(3, 4, dtype=int)):
    with pytest.raises(UserError, match="at least two labels above"):
      random_walker.random_walker(image, seeds)
  with pytest.raises(UserError, match=r"\(2, 2\).*one seed label per pixel"):
    random_walker.random_walker(image, np.ones((2, 2), int))


def test_one_cut_is_the_most_probable_labelling_that_keeps_the_seeds():
  image, _ = _scene(1)
  image = image[20:32:4, 22:42:5]  # 3x4
  inside, outside = np.zeros((2, 3, 4), bool)
  inside[1, 2:], outside[0, :2] = True, True
  got = grabcut.graph_cut(image, inside, outside, gamma=2.0)
  colours = image.astype(float)
  mixtures = [
    grabcut.fit(c, grabcut.cluster(c))
    for c in (colours[outside], colours[inside])
  ]
  unary = np.stack(
    [
      -np.log(
        np.exp(grabcut.log_densities(m, colours.reshape(-1, 3))).sum(1) + 1e-300
      )
      for m in mixtures
    ],
    1,
  )
  unary = np.minimum(unary, 600.0)
  weights = np.asarray(grid.contrast_weights(colours[None], 2.0))[0]
  unary[inside.ravel(), 0] = unary[outside.ravel(), 1] = 1e6
  want = exact.most_probable(exact.potts(unary, *grid.edges(weights)))[0]
  np.testing.assert_array_equal(got.ravel(), want == 1)
  assert got[inside].all()
  assert not got[outside].any()


def test_seeds_find_the_object():
  image, truth = _scene(2)
  inside, outside = np.zeros((2, *truth.shape), bool)
  inside[26:34, 34:46], outside[:4], outside[-4:] = True, True, True
  assert _iou(grabcut.graph_cut(image, inside, outside), truth) > 0.97


def test_seeds_that_contradict_or_lack():
  image, _ = _scene(0)
  one, none = np.zeros((2, 60, 80), bool)
  one[4, 7] = True
  with pytest.raises(UserError, match=r"1 pixels .* row 4, column 7"):
    grabcut.graph_cut(image, one, one)
  with pytest.raises(UserError, match="no object seeds"):
    grabcut.graph_cut(image, none, one)
  with pytest.raises(UserError, match="no background seeds"):
    grabcut.graph_cut(image, one, none)
  with pytest.raises(UserError, match="does not lie in an image of 60x80"):
    grabcut.grabcut(image, (0, 0, 61, 4))
  with pytest.raises(UserError, match="no pixel can be background"):
    grabcut.grabcut(image, (0, 0, 60, 80))
  marks = np.where(one, grabcut.OBJECT, grabcut.UNKNOWN)
  with pytest.raises(UserError, match="marked as object outside box"):
    grabcut.grabcut(image, (10, 10, 30, 30), marks)
  with pytest.raises(UserError, match="neither a box nor marks"):
    grabcut.grabcut(image)


def _opencv(image, box):
  mask = np.zeros(image.shape[:2], np.uint8)
  cv2.setRNGSeed(0)
  cv2.grabCut(
    np.ascontiguousarray(image[..., ::-1]),
    mask,
    (box[1], box[0], box[3] - box[1], box[2] - box[0]),
    np.zeros((1, 65)),
    np.zeros((1, 65)),
    5,
    cv2.GC_INIT_WITH_RECT,
  )
  return (mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)


@pytest.mark.parametrize("seed", [3, 4])
def test_grabcut_agrees_with_opencv(seed):
  image, truth = _scene(seed)
  box = (8, 18, 54, 64)
  got = grabcut.grabcut(image, box)
  assert _iou(got, _opencv(image, box)) >= 0.97
  assert _iou(got, truth) > 0.9


def test_grabcut_agrees_with_opencv_on_a_photograph():
  image = datasets.load_sample_image("flower.jpg")  # 427x640, a red flower
  image = cv2.resize(image, (213, 142), interpolation=cv2.INTER_AREA)
  box = (10, 40, 132, 190)
  got, want = grabcut.grabcut(image, box), _opencv(image, box)
  assert 0.1 < want.mean() < 0.5
  assert _iou(got, want) >= 0.97


def test_marks_correct_a_box():
  image, truth = _scene(5)
  marks = np.zeros(truth.shape, int)
  marks[28:32, 38:42] = grabcut.BACKGROUND  # a hole, says the user
  got = grabcut.grabcut(image, (8, 18, 54, 64), marks)
  assert not got[28:32, 38:42].any()
  assert _iou(got, truth) > 0.8


def test_mixture_and_clusters():
  rng = np.random.default_rng(0)
  parts = [rng.normal(m, 3, (200, 3)) for m in (20, 120, 230)]
  colours = np.concatenate(parts)
  member = grabcut.cluster(colours, 3)
  assert [len(set(member[i * 200 : i * 200 + 200])) for i in range(3)] == [
    1
  ] * 3
  mixture = grabcut.fit(colours, member)
  np.testing.assert_allclose(mixture.weight, 1 / 3)
  at = colours[:5]
  i = member[0]
  off = at - mixture.mean[i]
  c = mixture.covariance[i]
  want = np.exp(-np.einsum("na,ab,nb->n", off, np.linalg.inv(c), off) / 2)
  want /= np.sqrt((2 * np.pi) ** 3 * np.linalg.det(c)) * 3
  got = np.exp(grabcut.log_densities(mixture, at)[:, i])
  np.testing.assert_allclose(got, want, rtol=1e-9)
  flat = np.ones((7, 3))  # one colour
  assert set(grabcut.cluster(flat)) == {0}
  assert np.isfinite(
    grabcut.log_densities(grabcut.fit(flat, np.zeros(7)), flat)
  ).all()
