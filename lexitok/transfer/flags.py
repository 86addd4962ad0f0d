"""Flags that say what methods of transfer are given beside two tokenizers."""

from absl import flags

from lexitok.transfer.materials import Materials

_VECTORS = flags.DEFINE_string(
    "vectors", None, "For methods that compare: a run under the new tokenizer, a file, or train."
)
_SOURCE_VECTORS = flags.DEFINE_string(
    "source_vectors", None, "A file, where --vectors has not the source's tokens too."
)
_TEXT = flags.DEFINE_string("text", None, "Source of documents that vectors are trained on and tokens are counted in.")
_SOURCE_TEXT = flags.DEFINE_string("source_text", None, "In the language of the source, for vectors of its words.")
_DICTIONARY = flags.DEFINE_string("dictionary", None, "File of pairs of words: vectors are then those of words.")
_PARALLEL = flags.DEFINE_list("parallel", None, "Two files, SOURCE,TARGET, that are translations of each other.")
_HYPERNETWORK = flags.DEFINE_string("hypernetwork", None, "Run of configs/hypernetwork.py, for that method.")


def materials() -> Materials:
    """What the flags say."""
    return Materials(
        vectors=_VECTORS.value,
        source_vectors=_SOURCE_VECTORS.value,
        text=_TEXT.value,
        source_text=_SOURCE_TEXT.value,
        dictionary=_DICTIONARY.value,
        parallel=_PARALLEL.value,
        hypernetwork=_HYPERNETWORK.value,
    )
