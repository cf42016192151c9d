#!/usr/bin/env bash
# A SLURM job: one process per GPU, which is what JAX takes SLURM tasks for.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: [NAME=value ...] launch/slurm.sh FLAGS...

  NODES=2 GPUS=8 launch/slurm.sh --config=configs/unet_pets.py --workdir=DIR

NODES (1), GPUS per node (8), CPUS per GPU (4), TIME (24:00:00), PARTITION,
ACCOUNT, JOB (jaxseg), PYTHON (python) may be set. The workdir must
be on a file system that all nodes share. Ninety seconds before the time is up
the processes get SIGTERM, save and leave; the same command goes on from there.
A process that is lost ends all others, and the job.
DRY_RUN=1 prints the job and submits nothing.
TEXT
}

if [[ $# -lt 1 || "${1:-}" == -h || "${1:-}" == --help ]]; then
  usage >&2
  [[ $# -ge 1 ]] && exit 0
  exit 2
fi

options=(
  "--job-name=${JOB:-jaxseg}"
  "--nodes=${NODES:-1}"
  "--ntasks-per-node=${GPUS:-8}"
  "--gpus-per-node=${GPUS:-8}"
  "--cpus-per-task=${CPUS:-4}"
  "--time=${TIME:-24:00:00}"
  "--signal=TERM@90"
  "--output=%x-%j.out"
)
if [[ -n "${PARTITION:-}" ]]; then
  options+=("--partition=$PARTITION")
fi
if [[ -n "${ACCOUNT:-}" ]]; then
  options+=("--account=$ACCOUNT")
fi

command=$(printf '%q ' srun --kill-on-bad-exit=1 "${PYTHON:-python}" -m jaxseg.main "$@")
script=$(printf '#!/usr/bin/env bash\nexec %s--coordinator=auto\n' "$command")

if [[ -n "${DRY_RUN:-}" ]]; then
  printf 'sbatch'
  printf ' %q' "${options[@]}"
  printf '\n%s\n' "$script"
  exit 0
fi
sbatch "${options[@]}" <<<"$script"
