#!/usr/bin/env bash
# Runs a config on every host of a pod: tpu/run.sh NAME ZONE WORKDIR --config=... [more flags of experiments/train.py]
#   tpu/run.sh lexitok us-west4-a /mnt/bucket/runs/hat_v2 --config=configs/hat_v2.py:pod
# Copies the working tree to the hosts, makes the environment once, and starts one process a host in a tmux session
# that outlives the connection. WORKDIR is a file system that all hosts share. A run that was stopped resumes.
set -euo pipefail
name=${1:?name}; zone=${2:?zone}; workdir=${3:?workdir}; shift 3
on_all() { gcloud compute tpus tpu-vm ssh "$name" --zone="$zone" --worker=all --command="$1"; }
archive=$(mktemp --suffix=.tar.gz)
trap 'rm -f "$archive"' EXIT
git ls-files -z | tar --null --files-from=- -czf "$archive"
gcloud compute tpus tpu-vm scp "$archive" "$name:lexitok.tar.gz" --zone="$zone" --worker=all
on_all 'mkdir -p lexitok && tar -xzf lexitok.tar.gz -C lexitok && cd lexitok && make .venv/run &&
  UV_PROJECT_ENVIRONMENT=.venv .venv/bin/uv sync --frozen --quiet --extra tpu'
flags=$(printf ' %q' --workdir="$workdir" --processes=auto "$@")
command=".venv/bin/python experiments/train.py$flags 2>&1 | tee -a train.log"
on_all "cd lexitok && tmux new-session -d -s train $(printf '%q' "$command")"
