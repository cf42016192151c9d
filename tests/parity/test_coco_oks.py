"""OKS against pycocotools, person by person."""

import numpy as np
import pytest

from jaxseg.metrics import keypoints

pytestmark = pytest.mark.parity


def test_similarity_of_coco():
  from pycocotools import cocoeval as evaluation

  rng = np.random.default_rng(0)
  true = rng.uniform(0, 300, (5, 17, 3))
  true[..., 2] = rng.integers(0, 3, (5, 17))
  pred = true + rng.normal(0, 15, true.shape)
  pred[..., 2] = 1
  area = rng.uniform(500, 60_000, 5)

  params = evaluation.Params(iouType="keypoints")
  np.testing.assert_allclose(params.kpt_oks_sigmas, keypoints.COCO_SIGMAS)
  coco = evaluation.COCOeval.__new__(evaluation.COCOeval)
  coco.params = params
  truths = [
    {
      "keypoints": t.ravel().tolist(),
      "num_keypoints": int((t[:, 2] > 0).sum()),
      "area": a,
      "bbox": [0, 0, 300, 300],
      "ignore": 0,
    }
    for t, a in zip(true, area)
  ]
  guesses = [
    {"keypoints": p.ravel().tolist(), "score": 1.0 - i / 10}
    for i, p in enumerate(pred)
  ]
  coco._gts, coco._dts = {(1, 1): truths}, {(1, 1): guesses}
  want = coco.computeOks(1, 1)  # (guesses, truths)
  got = keypoints.similarity(
    pred[:, None].astype(np.float32),
    true[None].astype(np.float32),
    area[None].astype(np.float32),
    keypoints.COCO_SIGMAS,
  )
  np.testing.assert_allclose(got, want, atol=2e-6)
  assert 0.1 < np.diag(want).mean() < 0.9
