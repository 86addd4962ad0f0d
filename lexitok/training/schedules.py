"""Learning rates by step: constant, cosine, WSD and power, each behind a linear warm-up.

The rate of step `s` (counted from 0) while warming up is `peak * (s + 1) / warmup`, so the first step learns already.
A run that is shorter than its warm-up ends within it.
"""

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

SEQUENCE = 4096  # tokens of a sequence, in which arXiv 2408.13359 counts the batch


class ScheduleError(ValueError):
    """A schedule that does not exist or does not fit the run; the message names the config key."""


def make_schedule(config: ConfigDict, steps: int, symbols_per_batch: int) -> optax.Schedule:
    """The schedule of `config.schedule`, a function of the step that can be traced.

    Args:
      config: the `optimizer` section: `schedule`, `lr`, `warmup`, `final`, `decay`, `power`.
      steps: of the whole run.
      symbols_per_batch: symbols that one step reads, over all devices.

    Raises:
      ScheduleError: an unknown name, or a warm-up, final rate or decay out of range.
    """
    if config.schedule not in SCHEDULES:
        raise ScheduleError(f"optimizer.schedule '{config.schedule}' is unknown; there are: {', '.join(SCHEDULES)}")
    if config.warmup < 0 or not 0 <= config.decay <= 1 or not 0 <= config.final <= 1:
        raise ScheduleError(
            f"optimizer.warmup={config.warmup} has to be 0 or more, optimizer.decay={config.decay} and "
            f"optimizer.final={config.final} from 0 to 1"
        )
    schedule = SCHEDULES[config.schedule](config, steps, symbols_per_batch)
    return lambda step: schedule(jnp.asarray(step).astype(jnp.float32))  # Optax's own mix integers and floats


def peak(config: ConfigDict) -> float:
    """The largest rate that the schedule may reach."""
    return config.power.max_lr if config.schedule == "power" else config.lr


def constant(config: ConfigDict, steps: int, symbols_per_batch: int) -> optax.Schedule:
    """Warm-up, then `lr`."""
    return _warm_up(optax.constant_schedule(config.lr), config, steps)


def cosine(config: ConfigDict, steps: int, symbols_per_batch: int) -> optax.Schedule:
    """Warm-up, then half a cosine from `lr` down to `final * lr` at the end of the run."""
    after = max(steps - config.warmup, 1)
    return _warm_up(optax.cosine_decay_schedule(config.lr, after, alpha=config.final), config, steps)


def wsd(config: ConfigDict, steps: int, symbols_per_batch: int) -> optax.Schedule:
    """Warm-up, stable, decay (arXiv 2404.06395): linear to `final * lr` over the last `decay` of the steps."""
    start = _decay_start(config, steps)
    falling = optax.linear_schedule(config.lr, config.lr * config.final, max(steps - start, 1), start - config.warmup)
    return _warm_up(falling if steps > start else optax.constant_schedule(config.lr), config, steps)


def power(config: ConfigDict, steps: int, symbols_per_batch: int) -> optax.Schedule:
    """`min(max_lr, batch * a * n ** b)` for `n` symbols seen and a batch counted in sequences of 4096.

    arXiv 2408.13359. Over the last `decay` of the steps the rate falls exponentially to `final` of what it was. The
    law does not speak of the length of the run, so a run can be continued from where its decay began.
    """
    c, start = config.power, _decay_start(config, steps)
    batch = symbols_per_batch / SEQUENCE
    if config.decay and not config.final:
        raise ScheduleError("optimizer.final=0 cannot be reached by the exponential decay of schedule 'power'")

    def schedule(step: jax.typing.ArrayLike) -> jax.Array:
        step = jnp.asarray(step)
        seen = jnp.maximum(jnp.minimum(step, start), 1.0) * symbols_per_batch
        rate = jnp.minimum(c.max_lr, batch * c.a * seen**c.b)
        progress = jnp.clip((step - start) / max(steps - start, 1), 0.0, 1.0)
        warm = jnp.minimum((step + 1.0) / max(config.warmup, 1), 1.0)
        return rate * warm * jnp.float32(config.final or 1.0) ** progress

    return schedule


SCHEDULES = {"constant": constant, "cosine": cosine, "wsd": wsd, "power": power}


def _warm_up(after: optax.Schedule, config: ConfigDict, steps: int) -> optax.Schedule:
    if config.warmup <= 1:
        return after
    warming = optax.linear_schedule(config.lr / config.warmup, config.lr, config.warmup - 1)
    return optax.join_schedules([warming, after], [config.warmup])


def _decay_start(config: ConfigDict, steps: int) -> int:
    """The step at which the decay begins; never within the warm-up."""
    return max(steps - round(config.decay * steps), min(config.warmup, steps))
