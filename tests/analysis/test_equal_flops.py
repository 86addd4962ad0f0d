"""Arms of a comparison that cost the same, as they are solved for and as they are recorded."""

import jax
import pytest
from samples import TEXT, slow_if, small_config

from lexitok.analysis.equal_flops import cost, solve_shape


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "text"
    folder.mkdir()
    for i in range(6):
        (folder / f"{i}.txt").write_bytes(TEXT * (i + 4))
    return f"text:{folder}/*.txt"


@pytest.mark.parametrize("kind", slow_if(("hat_v2",).__contains__, ["hat_v2", "spacebyte"]))
def test_solved_shapes_cost_what_was_asked_for(kind, source, tmp_path):
    """FLOPs a byte of two models agree once their shapes are solved, and rows hold the bytes that were asked for."""
    c = small_config(kind)
    c.data.update(source=source, cache=str(tmp_path), rows=2, train_split="train")
    devices = jax.devices()[:1]
    solve_shape(c, 3e5, row_bytes=200, most_layers=2, devices=devices)
    found = cost(c, devices)
    assert found.flops_per_byte == pytest.approx(3e5, rel=0.03)
    assert found.bytes_per_step == pytest.approx(2 * 200, rel=0.2)


def test_a_model_that_is_too_dear_is_named(source, tmp_path):
    """Where the local stacks alone cost more, no backbone can help."""
    c = small_config("hat_v2")
    c.data.update(source=source, cache=str(tmp_path), rows=2)
    with pytest.raises(ValueError, match="hat_v2 costs more than 1e"):
        solve_shape(c, 1e4, row_bytes=200, most_layers=1, devices=jax.devices()[:1])
