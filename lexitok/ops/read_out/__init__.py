"""What is asked of the logits of a read-out, without ever holding all of them."""

from lexitok.ops.read_out.api import IMPLEMENTATIONS, read_out
from lexitok.ops.read_out.query import CHUNK, Query, Reductions

__all__ = ["CHUNK", "IMPLEMENTATIONS", "Query", "Reductions", "read_out"]
