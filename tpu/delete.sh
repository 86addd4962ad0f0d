#!/usr/bin/env bash
# Gives a pod back: tpu/delete.sh NAME ZONE
set -euo pipefail
gcloud compute tpus queued-resources delete "${1:?name}" --zone="${2:?zone}" --force --quiet
