"""Rows of tokens from how they are spelled in another model's tokens: hypernetworks (ZeTT, arXiv 2405.07883).

A model with such an interface has no rows of its own: it reads and writes in any vocabulary whose tokens can be spelled
in those of its source. `interface` says what a row is, `network` what is learned, `heuristics` what rows are without
it, `lexical` what keeps rows near those of the source, `source` which vocabulary that is.
"""

from lexitok.interfaces.hypernetwork.interface import Hypernetwork, MadeTables, as_table
from lexitok.interfaces.hypernetwork.source import pin_source, source_tokenizer, source_vocabulary

__all__ = ["Hypernetwork", "MadeTables", "as_table", "pin_source", "source_tokenizer", "source_vocabulary"]
