"""Which parts of a byte-unit model go together: under some, a position would depend on what comes after it."""

from ml_collections import ConfigDict


def check_causal(c: ConfigDict, boundary: str) -> None:
    """Raises ValueError for settings under which a position would depend on what comes after it."""
    if boundary == "lagged":
        if c.pool == "slot" or c.unpool == "prefix" or c.encoder.scope == "unit" or c.decoder.scope == "unit":
            raise ValueError(
                "under boundary 'lagged' a byte's own unit is known only later: it needs pool 'latent_query', "
                f"unpool 'add' and scopes 'window', not '{c.pool}', '{c.unpool}', '{c.encoder.scope}' and "
                f"'{c.decoder.scope}'"
            )
    elif c.pool == "slot" and c.unpool != "prefix":
        raise ValueError(
            f"pool 'slot' has an encoder that looks ahead in its unit, and unpool '{c.unpool}' shows its output to the "
            "decoder: it needs unpool 'prefix'"
        )
