#!/usr/bin/env bash
# Follows the log of a pod's first host: tpu/watch.sh NAME ZONE
set -euo pipefail
gcloud compute tpus tpu-vm ssh "${1:?name}" --zone="${2:?zone}" --worker=0 --command='tail -n 50 -f lexitok/train.log'
