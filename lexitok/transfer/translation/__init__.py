"""From a parallel text to how often a token of one vocabulary is translated by one of another."""

from lexitok.transfer.translation.bitext import read_bitext
from lexitok.transfer.translation.tokens import token_translations

__all__ = ["read_bitext", "token_translations"]
