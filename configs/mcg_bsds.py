"""MCG on BSDS500: a hierarchy of several scales and ranked proposals; and SCG,
of one scale. No network.

Paper: Arbelaez, Pont-Tuset, Barron, Marques, Malik, "Multiscale combinatorial
  grouping" (CVPR 2014); Pont-Tuset, Arbelaez, Barron, Marques, Malik (PAMI
  2017). On the 200 test images boundaries ODS 0.74 of both.
Command: python -m jaxseg.main --config=configs/mcg_bsds.py \
  --workdir=runs/mcg --mode=eval --config.data.data_dir=DATA
  and --mode=predict IMAGES. Behind the colon: mcg or scg (mcg_bsds.py:scg);
  other scales: --config.method.scales='(1.0, 0.5)'. Nothing is trained here:
  the weights of the scales, the lengths of the lists and the forest that ranks
  come with the library (benchmarks/mcg_fit.py).
Data: BSDS500, val, 100 images; once: python -m jaxseg.data.prepare \
  --dataset=bsds500 --raw=RAW --data_dir=DATA
Hardware: one CPU core, about 75 s a picture (SCG 15 s), of which gPb at twice
  the size is 45. Not yet measured on all of val. On its first three pictures,
  MCG / SCG / configs/ucm_bsds.py: boundaries ODS 0.407 / 0.393 / 0.385, AP
  0.293 / 0.279 / 0.273; covering 0.635 / 0.627 / 0.629, PRI 0.647 / 0.638 /
  0.646, VI 0.97 / 1.02 / 1.03. 1,858 / 1,312 proposals: mean best overlap with
  every region of every person 0.404 / 0.365, of the first hundred 0.304 /
  0.273. In the paper's order, and far below it; all
  with gPb's weights of before (now configs/ucm_bsds.py has more).
"""

from jaxseg import defaults, naming

VARIANTS = {"mcg": (2.0, 1.0, 0.5), "scg": (1.0,)}


def get_config(variant="mcg"):
  """See the module; `variant` is one of VARIANTS."""
  c = defaults.get_config()
  c.data.name = "bsds500"
  c.method.name = "mcg"
  c.method.scales = naming.lookup(VARIANTS, variant, "--config=FILE:NAME")
  c.method.proposals = 100
  c.eval.split = "val"
  return c
