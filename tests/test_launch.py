"""The scripts of launch/ say what they would run, and ask for what they lack."""

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from posegan_jax.arguments import make_parser
from posegan_jax.config import default_config

ROOT = Path(__file__).parents[1]
LAUNCH = ROOT / "launch"
TRAINING = ["python", "-m", "posegan_jax.main", "--config=configs/mpi.py"]
FILLING = ["posegan", "batch", "data/my tracks", "-o", "data/filled"]


def launch(script, *command, **variables):
    """A dry run, with nothing set but these variables."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        ["bash", LAUNCH / script, *command], capture_output=True, text=True, check=False,
        env=environment | {"DRY_RUN": "1", "CONFIG": "configs/mpi.py"} | variables,
    )


def commands(script, *command, **variables):
    """The words of every command that would be run."""
    done = launch(script, *command, **variables)
    assert (done.returncode, done.stderr) == (0, "")
    return [shlex.split(line) for line in done.stdout.splitlines()]


def option(words, name):
    """The value of ``--name=value``."""
    found = [word.partition("=")[2] for word in words if word.startswith(f"--{name}=")]
    assert len(found) == 1, (name, words)
    return found[0]


def manifests(script, *command, **variables):
    """The documents that would be written, and the commands after them."""
    done = launch(script, *command, **variables)
    assert (done.returncode, done.stderr) == (0, "")
    written, ran = re.split(r"(?m)^(?=kubectl |ray )", done.stdout, maxsplit=1)
    documents = [document for document in yaml.safe_load_all(written) if document]
    return documents, [shlex.split(line) for line in ran.splitlines()]


# --- the scripts ----------------------------------------------------------------------------------


def test_a_gpu_box_trains_or_does_what_it_is_told():
    install, training = commands("gpu.sh")
    assert install == ["pip", "install", ".", "jax[cuda13]"] and training == TRAINING
    assert commands("gpu.sh", *FILLING)[-1] == FILLING


def test_a_tpu_is_made_used_and_deleted():
    archive, create, copy, setup, training, delete = commands(
        "tpu.sh", PROJECT="mine", BUCKET="store", ZONE="us-east5-b", ACCELERATOR="v5p-64",
        VERSION="v2-alpha-tpuv5", NAME="pose",
    )
    packed = option(archive, "output")
    verbs = ["create", "scp", "ssh", "ssh", "delete"]
    for words, verb in zip((create, copy, setup, training, delete), verbs, strict=True):
        assert words[:5] == ["gcloud", "compute", "tpus", "tpu-vm", verb]
        assert option(words, "project") == "mine" and option(words, "zone") == "us-east5-b"
        assert any(word.split(":")[0] == "pose" for word in words)
    assert option(create, "accelerator-type") == "v5p-64" and "--spot" in create
    assert option(create, "version") == "v2-alpha-tpuv5"
    assert packed in copy
    assert all(option(words, "worker") == "all" for words in (copy, setup, training))
    assert "launch/setup.sh store ./posegan_jax 'jax[tpu]'" in option(setup, "command")
    # All hosts of a slice find each other.
    assert option(training, "command").endswith(shlex.join([*TRAINING, "--multi_host"]))


def test_a_tpu_at_full_price_with_a_command_of_its_own():
    lines = commands("tpu.sh", *FILLING, PROJECT="mine", BUCKET="store", SPOT="0")
    assert "--spot" not in lines[1]
    assert shlex.split(option(lines[4], "command"))[-len(FILLING) :] == FILLING


def test_slurm_gets_a_process_for_every_gpu_and_requeues_what_was_stopped():
    folder, submit = commands("slurm.sh", NODES="4", GPUS="8", PARTITION="long", TIME="1:00:00")
    assert folder[0] == "mkdir" and submit[0] == "sbatch"
    assert option(submit, "nodes") == "4" and option(submit, "partition") == "long"
    assert option(submit, "ntasks-per-node") == option(submit, "gpus-per-node") == "8"
    assert option(submit, "time") == "1:00:00" and option(submit, "signal") == "TERM@120"
    assert "--requeue" in submit and not any(w.startswith("--account") for w in submit)
    job = option(submit, "wrap")
    assert job.startswith(shlex.join(["srun", *TRAINING, "--multi_host"]))


@pytest.mark.parametrize(("status", "requeued"), [(0, False), (2, False), (143, True)])
def test_the_job_of_slurm_asks_for_another_turn_where_it_was_stopped(tmp_path, status, requeued):
    for name, line in (("srun", f"exit {status}"), ("scontrol", 'echo "$@"')):
        tool = tmp_path / name
        tool.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        tool.chmod(0o755)
    job = option(commands("slurm.sh")[-1], "wrap")
    done = subprocess.run(
        ["sh", "-c", job], capture_output=True, text=True, check=False,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "17"},
    )
    assert done.returncode == status
    assert done.stdout == ("requeue 17\n" if requeued else "")


def test_gke_runs_a_pod_on_every_host_of_a_slice():
    (jobset,), (apply,) = manifests(
        "gke.sh", IMAGE="mine/posegan", CLAIM="shared", HOSTS="16", TOPOLOGY="8x8", CHIPS="4",
        NAME="pose", NAMESPACE="people", RESTARTS="7",
    )
    assert apply[:2] == ["kubectl", "apply"]
    assert jobset["apiVersion"] == "jobset.x-k8s.io/v1alpha2" and jobset["kind"] == "JobSet"
    assert jobset["metadata"]["name"] == "pose" and jobset["metadata"]["namespace"] == "people"
    assert jobset["spec"]["failurePolicy"]["maxRestarts"] == 7
    (replicated,) = jobset["spec"]["replicatedJobs"]
    assert set(replicated) == {"name", "replicas", "template"}
    job = replicated["template"]["spec"]
    check_job(job, hosts=16, resource="google.com/tpu", chips=4)
    assert job["backoffLimit"] == 0  # one host alone cannot go on
    selected = job["template"]["spec"]["nodeSelector"]
    assert selected["cloud.google.com/gke-tpu-topology"] == "8x8"


def test_gke_runs_a_pod_on_every_host_with_gpus():
    documents, _ = manifests(
        "gke.sh", IMAGE="mine/posegan", CLAIM="shared", HOSTS="2", CHIPS="8", KIND="job",
        ACCELERATOR="nvidia-h100-80gb", NAME="pose",
    )
    account, role, binding, service, job = documents
    kinds = ["ServiceAccount", "Role", "RoleBinding", "Service", "Job"]
    assert [document["kind"] for document in documents] == kinds
    assert {document["metadata"]["name"] for document in documents} == {"pose"}
    assert job["apiVersion"] == "batch/v1" and job["spec"]["backoffLimit"] == 100
    check_job(job["spec"], hosts=2, resource="nvidia.com/gpu", chips=8)
    pod = job["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"cloud.google.com/gke-accelerator": "nvidia-h100-80gb"}
    # What jax.distributed asks Kubernetes for: its pod, job and service, and names of the pods.
    assert pod["serviceAccountName"] == account["metadata"]["name"]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    readable = {name for rule in role["rules"] for name in rule["resources"]}
    assert readable == {"pods", "services", "jobs"}
    assert service["spec"]["clusterIP"] == "None"  # headless
    assert service["spec"]["selector"] == {"job-name": pod["subdomain"]}


def check_job(spec, hosts, resource, chips):
    """A batch/v1 Job: fields of the right name and type."""
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == spec["parallelism"] == hosts
    assert set(spec) == {
        "completionMode", "completions", "parallelism", "backoffLimit", "podFailurePolicy",
        "template",
    }
    fails, *_ = spec["podFailurePolicy"]["rules"]
    assert fails == {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [2]}}
    pod = spec["template"]["spec"]
    assert pod["restartPolicy"] == "Never"  # as podFailurePolicy demands
    assert pod["terminationGracePeriodSeconds"] >= 60  # to save
    (container,) = pod["containers"]
    assert container["command"] == [*TRAINING, "--multi_host"]
    assert container["image"] == "mine/posegan"
    assert int(container["resources"]["limits"][resource]) == chips
    mounts = {m["mountPath"]: (m["name"], m["subPath"]) for m in container["volumeMounts"]}
    assert mounts == {"/posegan/data": ("shared", "data"), "/posegan/runs": ("shared", "runs")}
    (volume,) = pod["volumes"]
    assert volume["persistentVolumeClaim"] == {"claimName": "shared"}


def test_gke_fills_by_a_command_with_blanks_in_it():
    (jobset,), _ = manifests("gke.sh", *FILLING, IMAGE="i", CLAIM="c", HOSTS="1")
    job = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]
    assert job["template"]["spec"]["containers"][0]["command"] == FILLING


def test_a_ray_cluster_is_made_used_and_taken_down():
    (cluster,), (up, work, down) = manifests(
        "ray.sh", PROJECT="mine", BUCKET="store", ZONE="us-west1-b", REGION="us-west1", HOSTS="9",
        MACHINE="g2-standard-16", RESOURCES="{CPU: 16, GPU: 1}", JAX="jax[cuda13]", SPOT="false",
    )
    provider = {"project_id": "mine", "region": "us-west1", "availability_zone": "us-west1-b"}
    assert cluster["provider"] == {"type": "gcp", **provider}
    assert cluster["head_node_type"] in cluster["available_node_types"]
    worker = cluster["available_node_types"]["worker"]
    assert worker["min_workers"] == worker["max_workers"] == cluster["max_workers"] == 9
    assert worker["resources"] == {"CPU": 16, "GPU": 1}
    assert worker["node_config"]["machineType"] == "g2-standard-16"
    assert worker["node_config"]["scheduling"][0]["preemptible"] is False
    assert "setup.sh store './posegan_jax[ray]' 'jax[cuda13]'" in cluster["setup_commands"][0]
    assert "$RAY_HEAD_IP:" in cluster["worker_start_ray_commands"][-1]
    assert [words[:2] for words in (up, work, down)] == [
        ["ray", "up"], ["ray", "exec"], ["ray", "down"]
    ]
    filling = "posegan batch data/tracks -o data/filled --engine ray"
    assert work[-1] == f"cd posegan_jax && {filling}"


def test_the_ray_cluster_is_what_ray_takes():
    ray = pytest.importorskip("ray.autoscaler")
    jsonschema = pytest.importorskip("jsonschema")
    (cluster,), _ = manifests("ray.sh", PROJECT="mine", BUCKET="store")
    schema = Path(ray.__path__[0]) / "ray-schema.json"
    jsonschema.validate(cluster, json.loads(schema.read_text(encoding="utf-8")))


# --- what they ask for ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "given", "missing"),
    [
        ("tpu.sh", {}, "PROJECT"), ("tpu.sh", {"PROJECT": "mine"}, "BUCKET"),
        ("gke.sh", {}, "IMAGE"), ("gke.sh", {"IMAGE": "i"}, "CLAIM"),
        ("ray.sh", {}, "PROJECT"), ("ray.sh", {"PROJECT": "mine", "BUCKET": ""}, "BUCKET"),
    ],
)
def test_what_is_missing_is_told_in_one_line(script, given, missing):
    done = launch(script, **given)
    assert done.returncode == 2 and done.stdout == ""
    assert re.fullmatch(rf"{script}: set {missing}, the .+\n", done.stderr)


def test_a_kind_that_there_is_not():
    done = launch("gke.sh", IMAGE="i", CLAIM="c", KIND="pod")
    assert done.returncode == 2 and done.stderr == "gke.sh: KIND must be jobset or job, not pod\n"


# --- what they are --------------------------------------------------------------------------------

SCRIPTS = sorted(LAUNCH.glob("*.sh"))


def test_the_default_configurations_and_commands_are_there():
    for script in SCRIPTS:
        text = script.read_text(encoding="utf-8")
        for path in re.findall(r"configs/\w+\.py", text):
            assert (ROOT / path).is_file(), (script, path)
        for line in re.findall(r"posegan batch .*", text.replace("\\\n#", "")):
            make_parser().parse_args(shlex.split(line, comments=True)[1:])
    assert "multi_host" in (ROOT / "posegan_jax" / "main.py").read_text(encoding="utf-8")
    assert default_config().workdir == ""  # runs/<name>, which the scripts put on shared storage


def test_shellcheck_finds_nothing():
    shellcheck = shutil.which("shellcheck") or pytest.skip("needs shellcheck")
    done = subprocess.run(
        [shellcheck, "--external-sources", *SCRIPTS], cwd=LAUNCH, capture_output=True, text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_yamllint_finds_nothing():
    yamllint = shutil.which("yamllint") or pytest.skip("needs yamllint")
    done = subprocess.run(
        [yamllint, "--strict", "-c", LAUNCH / ".yamllint", *sorted(LAUNCH.glob("*.yaml"))],
        capture_output=True, text=True, check=False,
    )
    assert done.returncode == 0, done.stdout
