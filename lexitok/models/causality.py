"""Which parts of a byte-unit model go together: under some, a position would depend on what comes after it."""

from ml_collections import ConfigDict

from lexitok.text.boundaries import RULES, BoundaryRule, FoundByModel, Fused


def check_causal(c: ConfigDict, rule: BoundaryRule | type[BoundaryRule]) -> None:
    """Raises ValueError for a stage's section under which a position would depend on what comes after it, or that does
    not fit the boundary rule.

    A position may see the unit that ends with it (`revealed`, `fused`, `model`), or units that ended before.
    """
    scopes = (c.encoder.scope, c.decoder.scope)
    if not rule.opens_units and (c.pool == "slot" or c.unpool == "prefix" or "unit" in scopes):
        raise ValueError(
            f"under boundary '{rule.name}' a unit has no position that opens it: pool 'slot', unpool 'prefix' and "
            f"scope 'unit' do not go with it, but there are '{c.pool}', '{c.unpool}', '{scopes[0]}' and '{scopes[1]}'"
        )
    if c.pool == "slot" and c.unpool != "prefix":
        raise ValueError(
            f"pool 'slot' has an encoder that looks ahead in its unit, and unpool '{c.unpool}' shows its output to the "
            "decoder: it needs unpool 'prefix'"
        )
    routed = c.router.kind not in ("given", "distilled")
    if routed != rule.by_model:
        raise ValueError(
            f"router '{c.router.kind}' and text.splitter do not go together: a router that finds the units needs "
            "text.splitter 'model', and text.splitter 'model' a router"
        )
    if c.router.kind == "distilled" and rule.marks != "byte":
        raise ValueError(f"router 'distilled' learns from text.boundary '{Fused.name}', not '{rule.name}'")


def check_stage(config: ConfigDict) -> None:
    """Raises ValueError where the stage of a byte-unit model and the text or the data of a whole tree do not go
    together."""
    text = config.text
    stage = config.model.stage
    if text.boundary not in RULES:
        raise ValueError(f"text.boundary is {text.boundary!r}; there are {', '.join(RULES)}")
    check_causal(stage, FoundByModel if text.splitter == "model" else RULES[text.boundary])
    if stage.slots != text.slots:
        raise ValueError(f"model.stage.slots is {stage.slots} and text.slots is {text.slots}: they have to be equal")
    longest = text.max_unit_bytes + text.slots  # the symbols that open the unit are part of it
    for name in ("encoder", "decoder"):
        stack = stage[name]
        if stack.scope == "unit" and stack.window < longest:
            raise ValueError(
                f"model.stage.{name}.window is {stack.window}, but units are up to {longest} symbols long; raise it or "
                "lower text.max_unit_bytes"
            )
    if text.slots > 1 and config.data.symbols <= longest:
        raise ValueError(f"data.symbols is {config.data.symbols}, but units are up to {longest} symbols long; raise it")
