#!/usr/bin/env bash
# Run by tpu.sh and ray.yaml on a fresh Google Cloud machine: installs the checkout that it lies in,
# and mounts a bucket in which data/ and runs/ live.
#
#   launch/setup.sh BUCKET PACKAGE...
set -euo pipefail
cd "$(dirname "$0")/.."
BUCKET=$1
shift

export PATH="$HOME/.local/bin:$PATH"
command -v uv > /dev/null || curl -LsSf https://astral.sh/uv/install.sh | sh
[[ -d ~/venv ]] || uv venv --quiet --python 3.12 ~/venv  # images may have an older Python
VIRTUAL_ENV=~/venv uv pip install --quiet "$@"

if ! command -v gcsfuse > /dev/null; then
  repository=https://packages.cloud.google.com/apt
  key=/usr/share/keyrings/gcsfuse.asc
  curl -fsS $repository/doc/apt-key.gpg | sudo tee $key > /dev/null
  echo "deb [signed-by=$key] $repository gcsfuse-$(lsb_release -cs) main" |
    sudo tee /etc/apt/sources.list.d/gcsfuse.list > /dev/null
  sudo apt-get update -qq && sudo apt-get install -qq -y gcsfuse
fi
mkdir -p ~/bucket
# A checkpoint gets its name when it is whole: folders have to be renamed.
mountpoint -q ~/bucket || gcsfuse --implicit-dirs --rename-dir-limit=100000 "$BUCKET" ~/bucket
mkdir -p ~/bucket/data ~/bucket/runs
ln -sfn ~/bucket/data data
ln -sfn ~/bucket/runs runs
