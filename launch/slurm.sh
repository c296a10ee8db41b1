#!/usr/bin/env bash
# SLURM: a job with a process for every GPU, on any number of nodes.
#
#   launch/slurm.sh                                                     # trains CONFIG on one GPU
#   NODES=4 GPUS=8 PARTITION=long launch/slurm.sh
#   CPUS=32 launch/slurm.sh posegan batch data/tracks -o filled
#
# Run it from a checkout on a file system that all nodes see, in an environment with the package
# and jax[cuda13]. The job is saved and queued again when it is preempted or its time is over.
source "$(dirname "$0")/common.sh"

NAME=${NAME:-posegan}
NODES=${NODES:-1}
GPUS=${GPUS:-1}    # of each node
CPUS=${CPUS:-8}    # of each process
TIME=${TIME:-24:00:00}
PARTITION=${PARTITION:-}
ACCOUNT=${ACCOUNT:-}
LOG=${LOG:-runs/slurm-%j.log}
CONFIG=${CONFIG:-configs/cmu.py}

[[ $# -gt 0 ]] || set -- python -m posegan_jax.main --config="$CONFIG" --multi_host
OPTIONS=(
  --job-name="$NAME" --nodes="$NODES" --ntasks-per-node="$GPUS" --gpus-per-node="$GPUS"
  --cpus-per-task="$CPUS" --time="$TIME" --output="$LOG" --open-mode=append
  --requeue --signal=TERM@120  # two minutes before the end, to all processes
)
[[ -n "$PARTITION" ]] && OPTIONS+=(--partition="$PARTITION")
[[ -n "$ACCOUNT" ]] && OPTIONS+=(--account="$ACCOUNT")

# 143: the command was asked to stop, and has saved its state.
job="srun$(printf ' %q' "$@") || { status=\$?;"
job+=" [ \$status = 143 ] && scontrol requeue \$SLURM_JOB_ID; exit \$status; }"
run mkdir -p "$(dirname "$LOG")"
run sbatch "${OPTIONS[@]}" --wrap="$job"
