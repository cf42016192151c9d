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
SIGTERM is passed on, and SIGINT as SIGTERM: the run saves and leaves. The status
is that of the first failure; what has not ended GRACE (60) seconds after it is
killed.
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
# shellcheck disable=SC2329  # the traps call it
pass_on() {
  for pid in ${pids[@]+"${pids[@]}"}; do
    kill -s "$1" "$pid" 2>/dev/null || true
  done
}
trap 'pass_on TERM' TERM
# In the background bash lets nobody hear SIGINT.
trap 'pass_on TERM' INT

for ((i = 0; i < processes; i++)); do
  "${command[@]}" "--process=$i" &
  pids+=("$!")
done

# Others notice by themselves that one is lost, but a stopped one never ends.
status=0
deadline=""
remaining=("${pids[@]}")
while ((${#remaining[@]})); do
  living=()
  for pid in "${remaining[@]}"; do
    if kill -0 "$pid" 2>/dev/null; then
      living+=("$pid")
      continue
    fi
    code=0
    wait "$pid" || code=$?
    if [[ $status == 0 && $code != 0 ]]; then
      status=$code
      deadline=$((SECONDS + ${GRACE:-60}))
    fi
  done
  if [[ -n "$deadline" ]] && ((SECONDS >= deadline)); then
    pass_on KILL
  fi
  remaining=(${living[@]+"${living[@]}"})
  if ((${#remaining[@]})); then
    sleep 0.2
  fi
done
exit "$status"
