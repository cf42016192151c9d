#!/usr/bin/env bash
# Everything that wants an accelerator, in one go: figures beside PyTorch, then
# two trainings from one file of data.
#
#   benchmarks/gpu.sh OUT [DATA.npz] [--small]
#
# Run from the repository's root. Needs jax, flax and optax (torch for its
# columns, Pillow for the trainings). DATA.npz is made where the data is:
#   python -m benchmarks.export_data --out=DATA.npz --data=pets=DIR,camvid=DIR
# OUT gets gpu.json, profiles, NAME.json and table.md. Without an accelerator it
# says so; with --small it takes minutes there. On an accelerator allow half an
# hour for the figures, a quarter for the trainings; where a command may not take
# so long, run the two modules with --networks=NAME and --runs=NAME.
set -euo pipefail

out=${1:?"usage: benchmarks/gpu.sh OUT [DATA.npz] [--small]"}
shift
data=
if [[ $# -gt 0 && $1 != --* ]]; then
  data=$1
  shift
fi
python=${PYTHON:-python3}

"$python" -m benchmarks.gpu --out="$out" "$@"
if [[ -n $data ]]; then
  "$python" -m benchmarks.gpu_train --data="$data" --out="$out" "$@"
else
  echo "no DATA.npz: nothing is trained"
fi
