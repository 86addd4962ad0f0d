"""The models, by name. A new model is one file and a line here.

A model's class says which kinds of text it reads (`kinds_of_text`), what it wants to know of the symbols (`needs`:
`vocabulary`, `unit_tokens`), and what has to hold of the other settings (`check(config)`). It is trained and evaluated
by `read_out`, and decoded by what `lexitok.models.decodable` says. The function that makes its section of the config is
registered with `lexitok.config.section`.
"""

from typing import Any

from lexitok.models.byte_unit_lm import ByteUnitLM
from lexitok.models.token_lm import TokenLM

MODELS: dict[str, Any] = {"token_lm": TokenLM, "byte_unit_lm": ByteUnitLM}
