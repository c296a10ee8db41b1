#!/usr/bin/env bash
# Cloud TPU: one VM or all hosts of a pod slice, made for a command and deleted after it.
#
#   PROJECT=mine BUCKET=posegan launch/tpu.sh                        # trains CONFIG on 8 chips
#   PROJECT=mine BUCKET=posegan ACCELERATOR=v5litepod-64 launch/tpu.sh          # on 16 hosts
#   PROJECT=mine BUCKET=posegan launch/tpu.sh posegan batch data/tracks -o data/filled
#
# The bucket's data/ and runs/ are those of the working directory on every host. A spot TPU that is
# taken away is made again, and the training goes on from its newest checkpoint. Needs gcloud.
source "$(dirname "$0")/common.sh"

need PROJECT "the Google Cloud project that pays"
need BUCKET "the bucket with data/ that gets runs/, without gs://"
NAME=${NAME:-posegan}
ZONE=${ZONE:-us-west4-a}
ACCELERATOR=${ACCELERATOR:-v5litepod-8}  # chips; beyond 8 they are on several hosts
VERSION=${VERSION:-v2-alpha-tpuv5-lite}  # the image that goes with it
SPOT=${SPOT:-1}                          # 0: not to be taken away, at full price
ATTEMPTS=${ATTEMPTS:-100}
CONFIG=${CONFIG:-configs/cmu.py}

[[ $# -gt 0 ]] || set -- python -m posegan_jax.main --config="$CONFIG" --multi_host
TPU=(gcloud compute tpus tpu-vm)
WHERE=(--project="$PROJECT" --zone="$ZONE")
KIND=(--accelerator-type="$ACCELERATOR" --version="$VERSION")
[[ "$SPOT" == 1 ]] && KIND+=(--spot)

archive=$(mktemp -d)/posegan_jax.tar.gz
unpack="mkdir -p posegan_jax && tar xzf posegan_jax.tar.gz -C posegan_jax"
unpack+=" && bash posegan_jax/launch/setup.sh $BUCKET ./posegan_jax 'jax[tpu]'"
work="cd posegan_jax && PATH=~/venv/bin:\$PATH$(printf ' %q' "$@")"

attempt() {
  run "${TPU[@]}" create "$NAME" "${WHERE[@]}" "${KIND[@]}" &&
    run "${TPU[@]}" scp "$archive" "$NAME:posegan_jax.tar.gz" "${WHERE[@]}" --worker=all &&
    run "${TPU[@]}" ssh "$NAME" "${WHERE[@]}" --worker=all --command="$unpack" &&
    run "${TPU[@]}" ssh "$NAME" "${WHERE[@]}" --worker=all --command="$work"
}

remove() {
  run "${TPU[@]}" delete "$NAME" "${WHERE[@]}" --quiet
}

run git archive --format=tar.gz --output="$archive" HEAD
trap remove EXIT
for ((i = 1; i <= ATTEMPTS; i++)); do
  status=0
  attempt || status=$?
  # A command that fails on a TPU that is still there would fail again.
  state=$(run "${TPU[@]}" describe "$NAME" "${WHERE[@]}" --format='value(state)' || true)
  [[ $status == 0 || $state == READY ]] && break
  remove || true
  sleep 60
done
exit "$status"
