#!/usr/bin/env bash
# Several processes on this machine, as on several hosts.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: [DRY_RUN=1] launch/local.sh PROCESSES FLAGS...

  launch/local.sh 2 --config=configs/unet_scenes.py --workdir=runs/scenes

PORT and PYTHON may be set in the environment. DRY_RUN=1 prints the commands.
On GPUs give each process its own through CUDA_VISIBLE_DEVICES, or use one
process: a process drives all the devices that it sees.
SIGTERM and SIGINT are passed on; the status is that of the first failure.
TEXT
}

if [[ "${1:-}" == -h || "${1:-}" == --help ]]; then
  usage
  exit 0
fi
if [[ $# -lt 2 || ! "$1" =~ ^[1-9][0-9]*$ ]]; then
  usage >&2
  exit 2
fi

processes=$1
shift
port=${PORT:-12355}
command=("${PYTHON:-python}" -m jaxseg.main "$@"
  "--coordinator=127.0.0.1:$port" "--processes=$processes")

if [[ -n "${DRY_RUN:-}" ]]; then
  for ((i = 0; i < processes; i++)); do
    printf '%q ' "${command[@]}"
    printf '%s\n' "--process=$i"
  done
  exit 0
fi

pids=()
pass_on() {
  for pid in "${pids[@]}"; do
    kill -s "$1" "$pid" 2>/dev/null || true
  done
}
trap 'pass_on TERM' TERM
trap 'pass_on INT' INT

for ((i = 0; i < processes; i++)); do
  "${command[@]}" "--process=$i" &
  pids+=("$!")
done

status=0
for pid in "${pids[@]}"; do
  # A trapped signal ends `wait` early: wait again while the process lives.
  while true; do
    code=0
    wait "$pid" || code=$?
    kill -0 "$pid" 2>/dev/null || break
  done
  if [[ $status == 0 ]]; then
    status=$code
  fi
done
exit "$status"
