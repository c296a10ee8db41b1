#!/usr/bin/env bash
# This machine, with one or several GPUs: installs the package for them and runs a command.
#
#   launch/gpu.sh                                        # trains CONFIG
#   CONFIG=configs/mpi.py launch/gpu.sh
#   launch/gpu.sh posegan batch data/tracks -o filled    # or any other command
#
# The training uses all GPUs. Ctrl-C or SIGTERM saves it, and the same command goes on from there.
source "$(dirname "$0")/common.sh"

CONFIG=${CONFIG:-configs/cmu.py}
JAX=${JAX:-jax[cuda13]}  # jax[cuda12] for older drivers

[[ $# -gt 0 ]] || set -- python -m posegan_jax.main --config="$CONFIG"
run pip install . "$JAX"
run "$@"
