"""Model FLOPs of a training step, counted from shapes, and peak rates of accelerators.

Counted are the products of the forward pass, times three for training: the linear maps at the rate they run at (bytes
or units), attention with the causal half (or the window) only, and the read-out. Embedding look-ups, norms and
softmaxes are not. Packed documents see less than a row, so attention is an upper bound.
"""

from typing import Any

from ml_collections import ConfigDict

PEAK_TFLOPS = {  # dense bfloat16, vendors' data sheets
    "TPU v4": 275.0,
    "TPU v5 lite": 197.0,
    "TPU v5": 459.0,
    "TPU v6 lite": 918.0,
    "NVIDIA H100 80GB HBM3": 989.0,
    "NVIDIA H200": 989.0,
}


def peak_flops(device: Any) -> float | None:
    """The device's peak, FLOP/s in bfloat16, or None if it is not in the table."""
    peak = PEAK_TFLOPS.get(device.device_kind)
    return None if peak is None else peak * 1e12


def training_flops(model: ConfigDict, V: int, *, rows: int, symbols: int, units: int) -> float:
    """FLOPs of one step's forward and backward pass over `rows` full rows."""
    if model.kind == "token_lm":
        per_row = stack_flops(model.backbone, symbols) + 2 * symbols * model.backbone.D * V
        return 3.0 * rows * per_row
    D, E = model.backbone.D, model.encoder.D
    per_row = stack_flops(model.encoder, symbols) + stack_flops(model.decoder, symbols)
    per_row += stack_flops(model.backbone, units) + 2 * symbols * E * V
    per_row += _pool_flops(model, symbols, units) + _unpool_flops(model, units, D, model.decoder.D)
    return 3.0 * rows * per_row


def stack_flops(c: ConfigDict, positions: int) -> float:
    """FLOPs of a stack's forward pass over a row of so many positions."""
    linear = c.D * (c.H + 2 * c.K) * c.N + c.H * c.N * c.D + 3 * c.D * c.F
    total = 2.0 * c.L * positions * linear
    for layer in range(c.L):
        kind = c.layer_kinds[layer % len(c.layer_kinds)]
        seen = min(c.window, positions / 2) if kind == "local" else positions / 2
        total += 4.0 * positions * c.H * c.N * seen
    return total


def _pool_flops(model: ConfigDict, symbols: int, units: int) -> float:
    D, E = model.backbone.D, model.encoder.D
    if model.pool == "slot":
        return 2.0 * units * E * D
    return 2.0 * (symbols * 2 * E * D + units * D * D)


def _unpool_flops(model: ConfigDict, units: int, D: int, E: int) -> float:
    if model.unpool == "prefix":
        return 2.0 * units * D * E
    return 2.0 * units * model.decoder.L * (D * E + E * E)
