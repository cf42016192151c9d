#!/usr/bin/env bash
# The same command on every worker of a TPU VM pod, over ssh.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: TPU=name ZONE=zone [NAME=value ...] launch/tpu_pod.sh FLAGS...

  TPU=pod ZONE=us-central2-b launch/tpu_pod.sh \
    --config=configs/unet_pets.py --workdir=/mnt/shared/run

TPU and ZONE are required; PROJECT, FOLDER (jaxseg: the checkout on the
workers) and PYTHON (python3) may be set. The workdir must be one that all
workers share. DRY_RUN=1 prints the command.
TEXT
}

if [[ $# -lt 1 || "${1:-}" == -h || "${1:-}" == --help ]]; then
  usage >&2
  [[ $# -ge 1 ]] && exit 0
  exit 2
fi
if [[ -z "${TPU:-}" || -z "${ZONE:-}" ]]; then
  echo "error: set TPU and ZONE to the pod's name and zone." >&2
  usage >&2
  exit 2
fi

remote="cd $(printf '%q' "${FOLDER:-jaxseg}") && "
remote+=$(printf '%q ' "${PYTHON:-python3}" -m jaxseg.main "$@")
remote+="--coordinator=auto"

command=(gcloud compute tpus tpu-vm ssh "$TPU" "--zone=$ZONE" --worker=all)
if [[ -n "${PROJECT:-}" ]]; then
  command+=("--project=$PROJECT")
fi
command+=("--command=$remote")

if [[ -n "${DRY_RUN:-}" ]]; then
  printf '%q ' "${command[@]}"
  printf '\n'
  exit 0
fi
exec "${command[@]}"
