"""Compiles the training step of a config for a TPU pod, on any machine (needs `jax[tpu]`, no TPU).

python tpu/compile.py --config=configs/hat_v2.py:pod --topology=v5e:4x4

Prints the memory that a chip needs and the collectives in the program; fails as the pod would if it does not fit.
"""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import time

from absl import flags

from lexitok.config.flags import define_config, run
from lexitok.training.ahead_of_time import compile_step, describe, pod_devices
from lexitok.training.setup import make_setup

CONFIG = define_config()
TOPOLOGY = flags.DEFINE_string("topology", "v5e:4x4", "Kind and shape of the pod, as v4:2x2x2, v5p:4x4x4, v6e:16x16.")
SLICES = flags.DEFINE_integer("slices", 1, "How many of such pods, with a slower network between them.", lower_bound=1)


def main() -> None:
    setup = make_setup(CONFIG.load(), devices=pod_devices(TOPOLOGY.value, SLICES.value))
    began = time.perf_counter()
    found = describe(compile_step(setup))
    seconds = time.perf_counter() - began
    print(f"{SLICES.value} x {TOPOLOGY.value}, mesh {dict(setup.mesh.shape)}, compiled in {seconds:.0f} s")
    for name, value in found.items():
        print(f"  {name:20} {value / 1e9:8.2f} GB" if name.endswith("_bytes") else f"  {name:20} {value:8}")


if __name__ == "__main__":
    run(main)
