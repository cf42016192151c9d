#!/usr/bin/env bash
# A JobSet on Kubernetes: one indexed job, a process per node.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: IMAGE=image [NAME=value ...] launch/k8s.sh FLAGS...

  IMAGE=registry/jaxseg NODES=2 GPUS=8 CLAIM=shared launch/k8s.sh \
    --config=configs/unet_pets.py --workdir=/mnt/shared/run
  IMAGE=registry/jaxseg NODES=4 TPU=tpu-v5-lite-podslice TOPOLOGY=4x4 CHIPS=4 \
    CLAIM=shared launch/k8s.sh ...

IMAGE is required: it has the package installed and the configs in its working
directory. JOB (jaxseg), NODES (1), GPUS per node (8), CPUS (8) and MEMORY
(32Gi) per node, PYTHON (python), NAMESPACE, CLAIM (a persistent volume claim
that all nodes can write, mounted at MOUNT, /mnt/shared), RESTARTS (3), PORT
(12355) may be set. TPU, TOPOLOGY and CHIPS per node ask for a TPU slice of GKE
in place of GPUs; GPUS=0 asks for neither.
Process 0 is found through the JobSet's headless service. Evicted nodes get
SIGTERM, save and leave, and the JobSet starts again and goes on from there; a
mistake in the flags (status 2) ends it. Needs the JobSet operator
(jobset.sigs.k8s.io). DRY_RUN=1 prints the JobSet and creates nothing.
TEXT
}

if [[ $# -lt 1 || "${1:-}" == -h || "${1:-}" == --help ]]; then
  usage >&2
  [[ $# -ge 1 ]] && exit 0
  exit 2
fi
if [[ -z "${IMAGE:-}" ]]; then
  echo "error: set IMAGE to a container image that has jaxseg." >&2
  usage >&2
  exit 2
fi

# A YAML string.
quoted() {
  local text=$1
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  text=${text//$'\n'/\\n}
  printf '"%s"' "$text"
}

job=${JOB:-jaxseg}
nodes=${NODES:-1}
gpus=${GPUS:-8}
port=${PORT:-12355}
# <jobset>-<replicated job>-<job index>-<pod index>.<subdomain>
coordinator=$job-workers-0-0.$job:$port

if ! [[ "$nodes" =~ ^[1-9][0-9]*$ && "$gpus" =~ ^[0-9]+$ ]]; then
  echo "error: NODES=$nodes GPUS=$gpus: expected whole numbers." >&2
  exit 2
fi
if ! [[ "$job" =~ ^[a-z]([-a-z0-9]*[a-z0-9])?$ && ${#job} -le 40 ]]; then
  echo "error: JOB=$job: expected at most 40 of a-z, 0-9 and -." >&2
  exit 2
fi

resources=""
selector=""
if [[ -n "${TPU:-}" ]]; then
  if [[ -z "${TOPOLOGY:-}" || -z "${CHIPS:-}" ]]; then
    echo "error: TPU=$TPU needs TOPOLOGY, such as 4x4, and CHIPS per node." >&2
    exit 2
  fi
  resources=$(printf '\n%18sgoogle.com/tpu: %s' '' "$(quoted "$CHIPS")")
  selector=$(
    printf '\n%12snodeSelector:' ''
    printf '\n%14scloud.google.com/gke-tpu-accelerator: %s' '' \
      "$(quoted "$TPU")"
    printf '\n%14scloud.google.com/gke-tpu-topology: %s' '' \
      "$(quoted "$TOPOLOGY")"
  )
elif [[ "$gpus" != 0 ]]; then
  resources=$(printf '\n%18snvidia.com/gpu: "%s"' '' "$gpus")
fi

# Kubernetes would take $(NAME) for a variable, and $$ is a dollar.
dollar='$'
arguments=""
for flag in "$@" "--coordinator=$coordinator" "--processes=$nodes"; do
  flag=${flag//"$dollar"/"$dollar$dollar"}
  arguments+=$(printf '\n%14s- %s' '' "$(quoted "$flag")")
done

namespace=""
if [[ -n "${NAMESPACE:-}" ]]; then
  namespace=$(printf '\n  namespace: %s' "$(quoted "$NAMESPACE")")
fi
mount=""
volume=""
if [[ -n "${CLAIM:-}" ]]; then
  mount=$(
    printf '\n%14s- name: shared' ''
    printf '\n%16smountPath: %s' '' "$(quoted "${MOUNT:-/mnt/shared}")"
  )
  volume=$(
    printf '\n%12s- name: shared' ''
    printf '\n%14spersistentVolumeClaim:' ''
    printf '\n%16sclaimName: %s' '' "$(quoted "$CLAIM")"
  )
fi

document=$(
  cat <<YAML
apiVersion: jobset.x-k8s.io/v1alpha2
kind: JobSet
metadata:
  name: $(quoted "$job")$namespace
spec:
  network:
    enableDNSHostnames: true
    subdomain: $(quoted "$job")
    # Processes look for the coordinator while none is ready.
    publishNotReadyAddresses: true
  failurePolicy:
    maxRestarts: ${RESTARTS:-3}
    rules:
    - name: mistake
      action: FailJobSet
      onJobFailureReasons:
      - PodFailurePolicy
  replicatedJobs:
  - name: workers
    replicas: 1
    template:
      spec:
        completionMode: Indexed
        completions: $nodes
        parallelism: $nodes
        # Processes begin together: one that fails takes all along.
        backoffLimit: 0
        podFailurePolicy:
          rules:
          - action: FailJob
            onExitCodes:
              containerName: train
              operator: In
              values:
              - 2
        template:
          spec:
            restartPolicy: Never
            terminationGracePeriodSeconds: 90$selector
            containers:
            - name: train
              image: $(quoted "$IMAGE")
              env:
              - name: PROCESS
                valueFrom:
                  fieldRef:
                    fieldPath: metadata.annotations['batch.kubernetes.io/job-completion-index']
              command:
              - $(quoted "${PYTHON:-python}")
              - "-m"
              - "jaxseg.main"
              args:$arguments
              - "--process=\$(PROCESS)"
              ports:
              - containerPort: $port
              resources:
                requests:
                  cpu: $(quoted "${CPUS:-8}")
                  memory: $(quoted "${MEMORY:-32Gi}")
                limits:
                  memory: $(quoted "${MEMORY:-32Gi}")$resources
              volumeMounts:
              # Collectives of GPUs want more than the 64 MB of a container.
              - name: shm
                mountPath: /dev/shm$mount
            volumes:
            - name: shm
              emptyDir:
                medium: Memory$volume
YAML
)

if [[ -n "${DRY_RUN:-}" ]]; then
  printf '%s\n' "$document"
  exit 0
fi
kubectl apply -f - <<<"$document"
