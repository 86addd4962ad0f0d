#!/usr/bin/env bash
# Asks for a TPU pod: tpu/create.sh NAME ZONE [TYPE] [RUNTIME], for example
#   tpu/create.sh lexitok us-west4-a v5litepod-16 v2-alpha-tpuv5-lite
# Needs gcloud, logged in, with a project set. The pod is billed until tpu/delete.sh.
set -euo pipefail
name=${1:?name}; zone=${2:?zone}; type=${3:-v5litepod-16}; runtime=${4:-v2-alpha-tpuv5-lite}
gcloud compute tpus queued-resources create "$name" --node-id="$name" --zone="$zone" \
  --accelerator-type="$type" --runtime-version="$runtime"
gcloud compute tpus queued-resources describe "$name" --zone="$zone" --format='value(state.state)'
