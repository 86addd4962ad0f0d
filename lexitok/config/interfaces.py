"""Sections of interfaces: how symbols enter and leave."""

from collections.abc import Mapping

from ml_collections import ConfigDict

from lexitok.config.sections import section, with_changes
from lexitok.config.stacks import transformer


@section("table")
def table(**changes) -> ConfigDict:
    """Interface: a learned vector a symbol."""
    c = _interface("table")
    c.tied = "no"  # `yes`: the output projection is the embedding table
    c.embed_scale = 1.0  # Gemma: sqrt(D)
    c.table_rows = 0  # shared by the symbols modulo it; 0: one a symbol (`fused`: 260 hides ends of units)
    return with_changes(c, changes)


@section("binary")
def binary(**changes) -> ConfigDict:
    """Interface: the bits of a symbol's id, tiled; nothing is learned of how symbols enter (arXiv 2605.09751)."""
    c = _interface("binary")
    c.recoding = "canonical"  # `canonical`: the id itself; `affine`: a random invertible affine map of its bits
    c.lift = "zero_one"  # `zero_one`: bits as they are; `plus_minus`: -1 and 1
    c.norm = "none"  # `none`; `rms`: every vector is brought to root mean square 1 (but for that of zeros)
    c.seed = 0  # of the affine map
    return with_changes(c, changes)


@section("glyphs")
def glyphs(**changes) -> ConfigDict:
    """Interface: a picture of a symbol's text, frozen; nothing is learned of how symbols enter (arXiv 2507.04886)."""
    c = _interface("glyphs")
    c.font = ""  # path of a .hex font; empty: Unscii and Unifont, of the extra `glyphs`
    c.font_fingerprint = ""  # of its glyphs, SHA-256: no other font will do; empty: any, and a run writes down which
    c.size = 16  # pixels of the square's side: 16, 32 or 64
    c.drawing = "published"  # `published`: white space is blank, long tokens fade; `legible`: less so
    c.distinct = "published"  # `published`: symbols that look alike are one vector; `told_apart`: by a code
    c.scale = 1.0  # root mean square of an element; the published vectors have length 1: D ** -0.5
    return with_changes(c, changes)


@section("lexinvariant")
def lexinvariant(**changes) -> ConfigDict:
    """Interface: a Gaussian vector a symbol, fresh for each row, tied (arXiv 2305.16349)."""
    c = _interface("lexinvariant")
    return with_changes(c, changes)


@section("semi_lexinvariant")
def semi_lexinvariant(**changes) -> ConfigDict:
    """Interface: in each row some symbols have a Gaussian vector, the others their learned one; tied."""
    c = _interface("semi_lexinvariant")
    c.random = 0.2  # the probability that a symbol has no vector of its own in a row
    c.random_evaluated = 0.0  # the same when the model is evaluated, or used
    return with_changes(c, changes)


@section("hypernetwork")
def hypernetwork(**changes) -> ConfigDict:
    """Interface: a small transformer makes a token's rows of those of the base model's tokens that spell it.

    ZeTT (arXiv 2405.07883); the base model's table and backbone are taken from its run and stay as they are.
    """
    c = ConfigDict({"kind": "hypernetwork"})
    c.run = ""  # directory of the base model's run
    c.vocabulary = ""  # file of its tokenizer; empty: that of `run`, or without one the text's
    c.vocabulary_fingerprint = ""  # no other vocabulary will do; empty: any, and a run writes down which
    c.source = table(tied="yes")  # the base model's interface
    c.parts = 8  # of its tokens that spell a token, at most
    c.form = "residual"  # `residual`: on top of a heuristic; `published`: ZeTT's, without
    c.heuristic_in = "mean"  # of how tokens enter: `mean`, `first`, `last`, `front_loaded`, `by_length`
    c.heuristic_out = "mean"  # of how they leave, where the base model has two tables
    c.alpha = 1.0  # of what is added to it, in deviations of the base model's rows
    c.stack = transformer(D=256, L=3, H=4, K=4, N=64, F=512, feed_forward="plain", activation="gelu")
    c.languages = 0  # that vocabularies are told apart by; 0: none
    c.language = 0  # of the text's own vocabulary
    # Of rows of tokens that the base model has, away from its own: `rmse`, `mse`, `huber`
    c.lexical = ConfigDict({"weight": 0.5, "kind": "rmse"})
    c.compute_dtype = "auto"  # of the stack; see `model.compute_dtype`
    return with_changes(c, changes)


@section("hydra")
def hydra(parts: Mapping[str, tuple[int, ConfigDict]] | None = None) -> ConfigDict:
    """Interface: several, each for a part of the vocabulary (arXiv 2408.04303).

    `parts` are by name, each with its number of symbols and the section of its interface; `experiments/hydra.py` makes
    them of runs.
    """
    c = ConfigDict({"kind": "hydra", "parts": {}})
    for name, (size, interface) in (parts or {}).items():
        c.parts[name] = ConfigDict({"size": size, "interface": interface})
    return c


def _interface(kind: str) -> ConfigDict:
    return ConfigDict({"kind": kind, "softcap": 0.0})  # softcap: of the logits; 0: none
