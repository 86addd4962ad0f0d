"""Auxiliary vectors of tokens: trained on text, read from a file, taken from a model, brought into one space."""

from lexitok.transfer.vectors.files import read_word_vectors
from lexitok.transfer.vectors.of_run import vectors_of
from lexitok.transfer.vectors.of_tokens import spelled_vectors, vectors_by_words
from lexitok.transfer.vectors.rotation import read_dictionary, rotated
from lexitok.transfer.vectors.training import train_token_vectors, train_word_vectors
from lexitok.transfer.vectors.word_vectors import WordVectors

__all__ = [
    "WordVectors",
    "read_dictionary",
    "read_word_vectors",
    "rotated",
    "spelled_vectors",
    "train_token_vectors",
    "train_word_vectors",
    "vectors_by_words",
    "vectors_of",
]
