"""BPE in a `tokenizer.json` as merges."""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import tokenizers

from lexitok.text.adding.bpe import ListedMerges
from lexitok.text.adding.continued import NewToken
from lexitok.text.adding.formats import AddingError, Characters
from lexitok.text.adding.piece_kinds import PieceKinds
from lexitok.text.drawn.words import text_and_invalid
from lexitok.text.hugging_face_json import TokenizerJson
from lexitok.text.hugging_face_tokenizer import HuggingFaceTokenizer
from lexitok.text.piece_words import WordCut
from lexitok.text.token_bytes import SPACE, byte_level_spelling, from_byte_token

_LEFT = ("dropout", "continuing_subword_prefix", "end_of_word_suffix")  # settings that these merges know nothing of


class HuggingFaceBpe:
    """As `BpeFormat`. Merges are listed, and so are new ones, behind the others.

    Words are those of the file's own normaliser and pre-tokenizer; where tokens are not in the alphabet of ByteLevel,
    these may cut nothing, and words are cut further where no token reaches across.
    """

    def __init__(self, tokenizer: HuggingFaceTokenizer):
        """Args: the tokenizer, which is left as it is.

        Raises:
          AddingError: its merges are not all that it goes by; or there is no cut into words.
        """
        self._tokenizer, self._file = tokenizer, tokenizer.file
        model = self._file.model
        for setting in _LEFT:
            if model.get(setting):
                raise AddingError(f"{self._file.name}: BPE with {setting} = {model[setting]!r} is not continued here")
        self._read = Reading(self._file)
        added = {token["content"]: token["id"] for token in self._file.added}
        ids = {**added, **model["vocab"]}
        try:
            self.rules = ListedMerges(ids, [_pair(merge) for merge in model.get("merges") or []])
        except KeyError as error:
            raise AddingError(f"{self._file.name}: a merge has {error}, which is no token") from error
        fallback = {i: found[0] for spelling, i in ids.items() if (found := from_byte_token(spelling)) is not None}
        fallback = fallback if model.get("byte_fallback") else {}
        left = self._file.special_spellings | set(added)
        self.spellings: dict[int, str] = {i: s for s, i in ids.items() if s not in left and i not in fallback}
        self._space = self._file.space
        self._characters = Characters(fallback, self.spellings, lambda character: self.spelled(character.encode()))
        self._kinds = self._cut = None
        if not self._file.byte_level:
            pieces = [self._as_piece(spelling) for spelling in self.spellings.values()]
            try:
                self._kinds, self._cut = PieceKinds(pieces), WordCut(pieces)
            except ValueError as error:
                raise AddingError(f"{self._file.name} has no words that BPE could go on in: {error}") from None

    def words(self, data: bytes) -> Counter[str]:
        """As of `BpeFormat`."""
        if self._cut is None:
            return Counter(self._read.words(data))
        found: Counter[str] = Counter()
        for stretch in self._read.words(data):
            text = stretch if self._space is None else stretch.replace(self._space, " ")
            found.update(self._cut.words(text))
        return found if self._space is None else _renamed(found, self._space)

    def segment(self, word: str) -> list[int]:
        """As of `BpeFormat`."""
        return self._characters.collapsed([token.id for token in self._read.library.model.tokenize(word)])

    def characters(self, token: int) -> list[int]:
        """As of `BpeFormat`."""
        return [self.rules.ids.get(character, -1) for character in self.spellings[token]]

    def spelled(self, token: bytes) -> str:
        """As of `BpeFormat`."""
        if self._file.byte_level:
            return byte_level_spelling(token)
        return token.decode() if self._space is None else token.decode().replace(" ", self._space)

    def bytes_of(self, spelling: str) -> bytes:
        """As of `BpeFormat`."""
        return self._file.bytes_of(spelling)

    def allowed(self, spelling: str) -> bool:
        """As of `BpeFormat`: what is in one word or, without a pre-tokenizer, what SentencePiece would make."""
        return self._kinds is None or self._kinds.allows(self._as_piece(spelling))

    def written(self, tokens: Sequence[NewToken], pruned: Collection[int]) -> HuggingFaceTokenizer:
        """As of `BpeFormat`."""
        content = with_ids_of_added(json.loads(self._tokenizer.tokenizer_json))
        model, spelled = content["model"], dict(self.spellings)
        out = {spelled[i] for i in pruned}
        model["vocab"] = {spelling: i for spelling, i in model["vocab"].items() if spelling not in out}
        merges: list[Any] = [merge for merge in model.get("merges") or [] if "".join(_pair(merge)) not in out]
        lists = not merges or isinstance(merges[0], list) or any(" " in token.spelling for token in tokens)
        if lists:
            merges = [list(_pair(merge)) for merge in merges]
        for token in tokens:
            spelled[token.id] = token.spelling
            model["vocab"][token.spelling] = token.id
            if token.parts is not None:
                left, right = (spelled[part] for part in token.parts)
                merges.append([left, right] if lists else f"{left} {right}")
        model["merges"] = merges
        return rewritten(self._tokenizer, content)

    def _as_piece(self, spelling: str) -> str:
        return spelling.replace(self._space or " ", SPACE)


class Reading:
    """How a `tokenizer.json` cuts text into words.

    Attributes:
      library: the library's tokenizer, which takes what spells a special for text, and puts no space before a text.
    """

    def __init__(self, file: TokenizerJson):
        self.library = tokenizers.Tokenizer.from_str(json.dumps(file.for_raw_text("none")))
        whole: list[str] = [t["content"] for t in file.added if t["content"] not in file.special_spellings]
        self._space = file.space or " "
        self._whole = re.compile("|".join(map(re.escape, sorted(whole, key=len, reverse=True)))) if whole else None

    def words(self, data: bytes) -> Iterator[str]:
        """The words of the UTF-8 in a text, one after the other, without the tokens that are matched whole."""
        normalizer, pre_tokenizer = self.library.normalizer, self.library.pre_tokenizer
        for stretch in text_and_invalid(data)[::2]:
            for text in [stretch] if self._whole is None else self._whole.split(stretch):
                text = text if normalizer is None else normalizer.normalize_str(text)
                if pre_tokenizer is None:
                    yield text
                else:
                    yield from (word for word, _ in pre_tokenizer.pre_tokenize_str(text))

    def normalised(self, text: str) -> str:
        """What the normaliser makes of a text, with spaces as spaces."""
        normalizer = self.library.normalizer
        return text if normalizer is None else normalizer.normalize_str(text).replace(self._space, " ")


def with_ids_of_added(content: dict[str, Any]) -> dict[str, Any]:
    """A `tokenizer.json` whose added tokens are among the model's, too.

    The library gives added tokens that are not the ids behind the model's, whatever ids the file says.
    """
    vocabulary = content["model"]["vocab"]
    for token in content.get("added_tokens") or []:
        vocabulary.setdefault(token["content"], token["id"])
    return content


def rewritten(tokenizer: HuggingFaceTokenizer, content: dict[str, Any]) -> HuggingFaceTokenizer:
    """A tokenizer of another file, with the same roles."""
    data = json.dumps(content, ensure_ascii=False).encode()
    return HuggingFaceTokenizer(data, roles=tokenizer.roles, name=tokenizer.file.name)


def _pair(merge: list[str] | str) -> tuple[str, str]:
    left, right = merge if isinstance(merge, list) else merge.split(" ", 1)
    return left, right


def _renamed(words: Counter[str], space: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for word, count in words.items():
        found[word.replace(" ", space)] += count
    return found
