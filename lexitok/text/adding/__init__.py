"""Tokens added to a tokenizer that is there, and tokens taken out of it, in the format that it has.

`changes` is what is called; `continued` learns merges from text, `listed` takes tokens that are given, `pruning` finds
those that nothing needs. What differs between formats is in a file each, behind `formats`.
"""
