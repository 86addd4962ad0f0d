"""Tokenizers that are drawn from text in a moment, one for each step of a training, where others are trained for hours.

`sampler` draws them, `unigram` is what they are.
"""
