#!/usr/bin/env bash
# A Ray cluster on Google Compute Engine, made for a command and taken down after it.
#
#   PROJECT=mine BUCKET=posegan launch/ray.sh                       # data/tracks
#   PROJECT=mine BUCKET=posegan HOSTS=8 launch/ray.sh posegan batch data/a data/b -o data/filled \
#     --engine ray
#
# The bucket's data/ and runs/ are those of the working directory on every host. Work of a spot host
# that is taken away is done by another one. Needs `pip install '.[ray]' google-api-python-client`.
source "$(dirname "$0")/common.sh"

need PROJECT "the Google Cloud project that pays"
need BUCKET "the bucket with data/, without gs://"
export PROJECT BUCKET
export NAME=${NAME:-posegan}
export REGION=${REGION:-us-central1}
export ZONE=${ZONE:-us-central1-a}
export HOSTS=${HOSTS:-4}
export MACHINE=${MACHINE:-n2-standard-16}          # or with a GPU, e.g. g2-standard-16,
export RESOURCES=${RESOURCES:-'{CPU: 16}'}         # '{CPU: 16, GPU: 1}',
export JAX=${JAX:-jax}                             # jax[cuda13],
export IMAGE=${IMAGE:-projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-amd64}
                                                   # and an image with NVIDIA's driver
export SPOT=${SPOT:-true}

[[ $# -gt 0 ]] || set -- posegan batch data/tracks -o data/filled --engine ray
cluster=$(mktemp -d)/ray.yaml
render launch/ray.yaml "$@" | write "$cluster"
trap 'run ray down --yes "$cluster"' EXIT
run ray up --yes "$cluster"
run ray exec "$cluster" "cd posegan_jax &&$(printf ' %q' "$@")"
