"""The models, by name. A new model is one file and a line here."""

from lexitok.models.byte_unit_lm import ByteUnitLM
from lexitok.models.token_lm import TokenLM

MODELS = {"token_lm": TokenLM, "byte_unit_lm": ByteUnitLM}
