#!/usr/bin/env bash
# Google Kubernetes Engine, on a cluster that kubectl is connected to.
#
#   IMAGE=REGION-docker.pkg.dev/PROJECT/REPOSITORY/posegan CLAIM=posegan launch/gke.sh
#   ... KIND=job ACCELERATOR=nvidia-l4 CHIPS=1 HOSTS=2 launch/gke.sh     # GPUs
#   ... HOSTS=1 TOPOLOGY=2x4 CHIPS=8 launch/gke.sh posegan batch data/tracks -o data/filled
#
# KIND=jobset runs on a TPU slice and needs JobSet in the cluster; KIND=job on GPUs, with nothing
# else. data/ and runs/ are on the volume that CLAIM names, which all hosts can write
# (ReadWriteMany, e.g. of Filestore). Spot nodes are tolerated. IMAGE is made of launch/Dockerfile.
source "$(dirname "$0")/common.sh"

need IMAGE "the image to run, see launch/Dockerfile"
need CLAIM "the PersistentVolumeClaim with data/ and runs/"
KIND=${KIND:-jobset}
export IMAGE CLAIM
export NAME=${NAME:-posegan}
export NAMESPACE=${NAMESPACE:-default}
export ACCELERATOR=${ACCELERATOR:-tpu-v5-lite-podslice}
export TOPOLOGY=${TOPOLOGY:-4x4}  # of a TPU slice: HOSTS times CHIPS of them
export HOSTS=${HOSTS:-4}
export CHIPS=${CHIPS:-4}  # TPU chips or GPUs of each host
export RESTARTS=${RESTARTS:-100}
CONFIG=${CONFIG:-configs/cmu.py}

[[ "$KIND" == jobset || "$KIND" == job ]] ||
  { echo "gke.sh: KIND must be jobset or job, not $KIND" >&2; exit 2; }
[[ $# -gt 0 ]] || set -- python -m posegan_jax.main --config="$CONFIG" --multi_host
manifest=$(mktemp -d)/posegan.yaml
render "launch/gke-$KIND.yaml" "$@" | write "$manifest"
run kubectl apply --filename="$manifest"
