"""How fast a config's training step runs on the devices at hand."""

import dataclasses
import itertools
import time
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from lexitok.data.batch import Batch
from lexitok.data.pipeline import train_iterator
from lexitok.data.placement import put_batch
from lexitok.training.ahead_of_time import abstract_batch, describe
from lexitok.training.flops import peak_flops, training_flops
from lexitok.training.setup import make_setup

WARM_UP = 2
BATCHES = 4  # different ones, in turn


@dataclasses.dataclass(frozen=True)
class StepSpeed:
    """Measurements of a step.

    Attributes:
      device: its kind, and how many.
      seconds: of each timed step.
      bytes_per_step: raw bytes that a step learns from, on average.
      flops_per_step: of the model, see `lexitok.training.flops`.
      peak_flops: of all devices together, FLOP/s.
      peak_is: where that comes from.
      memory_bytes: peak memory of a device; on CPUs, what the compiled step needs for arguments and temporaries.
    """

    device: str
    seconds: tuple[float, ...]
    bytes_per_step: float
    flops_per_step: float
    peak_flops: float
    peak_is: str
    memory_bytes: int


def measure_step(config: ConfigDict, *, steps: int) -> StepSpeed:
    """Times the training step of `config` on batches of its own data, made beforehand."""
    setup = make_setup(config)
    with jax.set_mesh(setup.mesh):
        iterator = train_iterator(setup.config, setup.encoder, setup.objective.tokenisations)
        batches = [put_batch(batch) for batch in itertools.islice(iterator, BATCHES)]
        state = setup.init_state()
        step = setup.step().lower(state, batches[0]).compile()
        seconds = []
        for n, batch in zip(range(WARM_UP + steps), itertools.cycle(batches), strict=False):
            began = time.perf_counter()
            state, sums = step(state, batch)
            jax.block_until_ready((state, sums))
            if n >= WARM_UP:
                seconds.append(time.perf_counter() - began)
        needed = describe(step)
    device = setup.mesh.devices.flat[0]
    peak, peak_is = _peak(device)
    statistics = device.memory_stats() or {}
    return StepSpeed(
        device=f"{setup.mesh.size} x {device.device_kind}",
        seconds=tuple(seconds),
        bytes_per_step=float(np.mean([_bytes(b) for b in batches])),
        flops_per_step=training_flops(setup, abstract_batch(setup)),
        peak_flops=peak * setup.mesh.size,
        peak_is=peak_is,
        memory_bytes=int(statistics.get("peak_bytes_in_use", needed["peak_bytes"])),
    )


def report(name: str, speed: StepSpeed) -> str:
    """The measurements in two lines."""
    low, median, high = np.percentile(speed.seconds, [25, 50, 75])
    rate, used = speed.bytes_per_step / median, speed.flops_per_step / (median * speed.peak_flops)
    return (
        f"{name}: {rate / 1e3:.1f} kB/s, {median * 1e3:.1f} ms a step (quartiles {low * 1e3:.1f} to {high * 1e3:.1f}), "
        f"{speed.memory_bytes / 1e9:.2f} GB\n"
        f"  model-FLOPs utilisation {100 * used:.1f}% of {speed.peak_flops / 1e12:.3g} TFLOP/s "
        f"({speed.peak_is}; {speed.device})"
    )


def _bytes(batch: Batch) -> int:
    return int(jax.device_get(batch.tokens.bytes_BxS.sum()))


def _peak(device: Any) -> tuple[float, str]:
    known = peak_flops(device)
    return (known, "data sheet, bfloat16") if known else (_matmul_flops(device), "measured 2048^3 float32 product")


def _matmul_flops(device: Any, n: int = 2048) -> float:
    a = jax.device_put(jnp.ones((n, n), jnp.float32) / n, device)
    product = jax.jit(jnp.matmul)
    return max(2 * n**3 / seconds for seconds in itertools.islice(_timings(product, a), 5))


def _timings(product, a: jax.Array) -> Iterator[float]:
    jax.block_until_ready(product(a, a))
    while True:
        began = time.perf_counter()
        jax.block_until_ready(product(a, a))
        yield time.perf_counter() - began
