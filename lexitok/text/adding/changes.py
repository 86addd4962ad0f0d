"""Tokens added to a tokenizer, from text or from a list, and tokens pruned: what comes of it is a tokenizer again.

Ids of tokens that are kept stay what they are.
"""

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lexitok.text.adding.continued import LEAST, LONGEST, NewToken, continue_merges
from lexitok.text.adding.formats import AddingError, BpeFormat
from lexitok.text.adding.hugging_face import HuggingFaceBpe, Reading
from lexitok.text.adding.listed import merges_to
from lexitok.text.adding.pieces import matched_whole, with_pieces
from lexitok.text.adding.pruning import prune_leaves
from lexitok.text.adding.ranks import Ranks
from lexitok.text.adding.sentencepiece import SentencePieceBpe, model_type, normalised
from lexitok.text.drawn.unigram import UnigramTokenizer
from lexitok.text.hugging_face_tokenizer import HuggingFaceTokenizer
from lexitok.text.padded_tokenizer import PaddedTokenizer
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.text.tiktoken_tokenizer import TiktokenTokenizer
from lexitok.text.tokenizer_files import tokenizer_from_bytes
from lexitok.text.vocabulary import Tokenizer, Vocabulary

WAYS = ("vocabulary", "matched")
PRUNED_IDS = ("reused", "unused")


@dataclasses.dataclass(frozen=True)
class Changed:
    """A tokenizer with other tokens.

    Attributes:
      tokenizer: it has the kept tokens under their ids.
      added: ids of new tokens, in the order in which they merge.
      pruned: the bytes of tokens that are no more, by the ids that they had.
    """

    tokenizer: Tokenizer
    added: tuple[int, ...]
    pruned: Mapping[int, bytes]


def change_by_text(
    tokenizer: Tokenizer,
    documents: Iterable[bytes],
    *,
    count: int,
    prune: int = 0,
    most_uses: int | None = None,
    pruned_ids: str = "reused",
    least: int = LEAST,
    longest: int = LONGEST,
) -> Changed:
    """Prunes leaves that a text hardly uses, and goes on with BPE on it.

    Where tokens are pruned, the text is to have all in it that the model is still to write: tokens of a language that
    is not in it are the least used of all.

    For 4.0 MB of German (`help/de.train`) and 1,000 tokens, seconds of one core, all told: 3.7 for Mistral's
    SentencePiece model of 32,000 pieces, 3.0 for Tekken's 131,072, 6.5 for Gemma 3's 262,144.

    Args:
      tokenizer: BPE: a `tokenizer.json`, ranks, or a SentencePiece model.
      documents: the text; what is not UTF-8 in it is left out.
      count: of new tokens; fewer where the text has no more pairs that are frequent enough.
      prune: how many tokens are taken out before; none that was taken out comes again.
      most_uses: tokens that the text has more often are not pruned.
      pruned_ids: the ids of pruned tokens are `reused` for new ones, or stay `unused`.
      least, longest: as of `continue_merges`.

    Raises:
      AddingError: the tokenizer is no BPE, or one that cannot be continued here; nothing could be added.
    """
    if pruned_ids not in PRUNED_IDS:
        raise AddingError(f"pruned_ids is '{pruned_ids}'; there are {', '.join(PRUNED_IDS)}")
    if count < 0 or prune < 0 or not count + prune:
        raise AddingError(f"{count} tokens are to be added and {prune} pruned: there is nothing to do")
    inner = _inner(tokenizer)
    bpe, size = _bpe_format(inner), inner.vocabulary.size
    words: Counter = Counter()
    for document in documents:
        words.update(bpe.words(document))
    segments = {word: bpe.segment(word) for word in words}
    pruned: list[int] = []
    if prune:
        pruned = _leaves(bpe, inner.vocabulary, _uses(words, segments), prune, most_uses)
        out = {bpe.spellings[i] for i in pruned}
        bpe = _bpe_format(bpe.written((), pruned))
        segments = {word: bpe.segment(word) for word in words}
    else:
        out = set()
    free = itertools.chain(sorted(pruned) if pruned_ids == "reused" else (), itertools.count(size))
    counted: Counter[tuple[int, ...]] = Counter()
    for word, ids in segments.items():
        counted[tuple(ids)] += words[word]
    tokens = continue_merges(
        counted,
        bpe.rules,
        bpe.spellings,
        ids=itertools.islice(free, count),
        bytes_of=bpe.bytes_of,
        allowed=lambda spelling: spelling not in out and bpe.allowed(spelling),
        least=least,
        longest=longest,
    )
    if count and not tokens:
        raise AddingError(f"the text ({words.total()} words) has no pair of tokens {least} times that may merge")
    return _checked(tokenizer, bpe.written(tokens, ()), _bytes_of(tokens, bpe), pruned)


def change_by_list(tokenizer: Tokenizer, tokens: Sequence[bytes], *, way: str = "vocabulary") -> Changed:
    """Adds given tokens.

    Args:
      tokenizer: what it has for merges decides what a token of the `vocabulary` is. BPE: the end of merges of the
        tokens that it is now made of; where there are more than two, tokens on the way to it are added as well.
        Unigram: a piece. Other models (WordPiece) have no such way.
      tokens: their bytes, UTF-8.
      way: `vocabulary`, or `matched`: found in the text before all else, across words and within them.

    A text that has none of the added tokens' bytes in it has the tokens that it had.

    Raises:
      AddingError: no tokens; one that is not UTF-8, is there already or twice, that the tokenizer's normaliser changes,
        or that it cannot reach.
    """
    if way not in WAYS:
        raise AddingError(f"way is '{way}'; there are {', '.join(WAYS)}")
    inner = _inner(tokenizer)
    texts = _texts(inner, tokens)
    behind = {inner.vocabulary.size + i: text.encode() for i, text in enumerate(texts)}
    if way == "matched":
        return _checked(tokenizer, matched_whole(inner, texts), behind, ())
    if _is_unigram(inner):
        return _checked(tokenizer, with_pieces(inner, texts), behind, ())
    bpe = _bpe_format(inner)
    found = merges_to(texts, bpe, itertools.count(inner.vocabulary.size))
    return _checked(tokenizer, bpe.written(found, ()), _bytes_of(found, bpe), ())


def _inner(tokenizer: Tokenizer) -> Tokenizer:
    if isinstance(tokenizer, PaddedTokenizer):
        return _inner(tokenizer.tokenizer)
    return tokenizer_from_bytes(tokenizer.to_bytes()) if isinstance(tokenizer, UnigramTokenizer) else tokenizer


def _is_unigram(tokenizer: Tokenizer) -> bool:
    if isinstance(tokenizer, HuggingFaceTokenizer):
        return tokenizer.file.model["type"] == "Unigram"
    return isinstance(tokenizer, SentencePieceTokenizer) and model_type(tokenizer) == "UNIGRAM"


def _bpe_format(tokenizer: Tokenizer) -> BpeFormat:
    kind = type(tokenizer).__name__
    if isinstance(tokenizer, TiktokenTokenizer):
        return Ranks(tokenizer)
    if isinstance(tokenizer, HuggingFaceTokenizer):
        kind = tokenizer.file.model["type"]
        if kind == "BPE":
            return HuggingFaceBpe(tokenizer)
    if isinstance(tokenizer, SentencePieceTokenizer):
        kind = model_type(tokenizer)
        if kind == "BPE":
            return SentencePieceBpe(tokenizer)
    raise AddingError(
        f"a tokenizer of the kind {kind} has no merges to go on with; a list of tokens can be added, to Unigram as "
        "pieces, to others as tokens that are matched before all else (way='matched')"
    )


def _uses(words: Mapping[Any, int], segments: Mapping[Any, Sequence[int]]) -> Counter[int]:
    """How often each token is in the words."""
    found: Counter[int] = Counter()
    for word, ids in segments.items():
        for i in ids:
            found[i] += words[word]
    return found


def _leaves(bpe: BpeFormat, before: Vocabulary, uses: Counter[int], count: int, most_uses: int | None) -> list[int]:
    kept = before.specials | (set(range(before.size)) - bpe.spellings.keys())
    found = prune_leaves(bpe.rules, uses, count, characters=bpe.characters, kept=kept, most_uses=most_uses)
    if not found:
        raise AddingError(f"no token can be pruned: all are parts of others or used more than {most_uses} times")
    return found


def _texts(tokenizer: Tokenizer, tokens: Sequence[bytes]) -> list[str]:
    """The tokens of a list as text, checked."""
    if not tokens:
        raise AddingError("the list of tokens is empty")
    ids = {token: i for i, token in enumerate(tokenizer.vocabulary.token_bytes)}
    names = {name: i for i, name in tokenizer.vocabulary.names.items()}
    found: dict[str, None] = {}
    for token in tokens:
        try:
            text = token.decode()
        except UnicodeDecodeError as error:
            raise AddingError(f"the token {token!r} is not UTF-8 ({error.reason} at byte {error.start})") from None
        if not text:
            raise AddingError("one of the tokens is empty")
        if text in found:
            raise AddingError(f"the token {text!r} is in the list twice")
        if token in ids:
            raise AddingError(f"{text!r} is a token already, id {ids[token]}")
        if text in names:
            raise AddingError(f"{text!r} is spelled like the special {names[text]}")
        if (normal := _normalised(tokenizer, text)) != text:
            raise AddingError(f"the tokenizer reads {text!r} as {normal!r}: no text would ever have this token")
        found[text] = None
    return list(found)


def _normalised(tokenizer: Tokenizer, text: str) -> str:
    if isinstance(tokenizer, HuggingFaceTokenizer):
        return Reading(tokenizer.file).normalised(text)
    return normalised(tokenizer, text) if isinstance(tokenizer, SentencePieceTokenizer) else text


def _bytes_of(tokens: Sequence[NewToken], bpe: BpeFormat) -> dict[int, bytes]:
    return {token.id: bpe.bytes_of(token.spelling) for token in tokens}


def _checked(old: Tokenizer, new: Tokenizer, added: Mapping[int, bytes], pruned: Iterable[int]) -> Changed:
    """The new tokenizer with as many ids as the old one at least; an error unless all that is kept is what it was."""
    before = old.vocabulary
    if new.vocabulary.size < before.size:
        new = PaddedTokenizer(new, before.size)
    after, gone = new.vocabulary, {i: before.token_bytes[i] for i in pruned}
    for i, token in enumerate(after.token_bytes):
        there = b"" if i in gone or i >= before.size else before.token_bytes[i]
        if token != added.get(i, there):
            raise AddingError(f"id {i} would stand for {token!r}, not {added.get(i, there)!r}: the format has no room")
    frames = [{"bos": v.bos, "eot": v.eot, "pad": v.pad, **v.roles} for v in (before, after)]
    if not frames[0].items() <= frames[1].items():
        raise AddingError(f"the specials would be others: {frames[0]} before, {frames[1]} now")
    return Changed(new, tuple(added), gone)
