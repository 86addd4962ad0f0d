"""Chats: what is said, byte by byte, under each tokenizer's own template, and learnt of those who are to be learnt."""

import json

import numpy as np
import pytest
from samples import Greedy

from lexitok.config import default_config
from lexitok.data.batch import Tokenisation
from lexitok.data.chat_encoders import ChatSubwordEncoder, reading_chats
from lexitok.data.encoders import SubwordEncoder, make_encoder
from lexitok.data.pipeline import batch_iterator
from lexitok.data.readers import SourceError
from lexitok.data.sources import has_chats, open_source
from lexitok.hub.chat_template import template_at
from lexitok.hub.stored_tensors import HubError
from lexitok.text.alignment import NONE, TokenEnds, align, classes_of
from lexitok.text.chats import Turn, chat, turns_of, without_marks
from lexitok.text.roles import with_roles

FRAMED = """{{ bos_token }}
{%- for message in messages %}
    {{- '<start_of_turn>' + message['role'] + '\n' + (message['content'] | trim) + '<end_of_turn>\n' }}
{%- endfor %}"""
INSTRUCT = """{{ bos_token }}
{%- for message in messages %}
    {%- if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}
    {%- else %}{{ ' ' + message['content'] + eos_token }}{% endif %}
{%- endfor %}"""
PLAIN = "{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}{% endfor %}"
TURNS = [
    Turn("user", "How many legs has a spider? 🌝".encode()),
    Turn("assistant", b"Eight legs."),
    Turn("user", b"And two?"),
    Turn("assistant", "Sixteen, naïve one".encode()),
]


class Framed(Greedy):
    """Tokens with specials around turns."""

    def __init__(self):
        names = ("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>")
        longer = (b"user", b"legs", b" legs", b"\n", b"Eight", b"ni")
        tokens = [b""] * len(names) + [bytes([b]) for b in range(256) if b != 10] + list(longer)
        super().__init__(with_roles(tokens, range(len(names)), dict(enumerate(names)), {}))


class Instruct(Greedy):
    """Others, with a special that ends turns and texts."""

    def __init__(self):
        names = ("<s>", "</s>", "[INST]", "[/INST]")
        longer = (b" le", b"gs", b"How ", b"Sixteen", b"ight")
        tokens = [bytes([255 - b]) for b in range(256)] + list(longer) + [b""] * len(names)
        ids = range(256 + len(longer), len(tokens))
        super().__init__(with_roles(tokens, ids, dict(zip(ids, names, strict=True)), {}))


def bytes_encoder():
    c = default_config().text
    c.kind = "bytes"
    return make_encoder(c)


def encoder_of(name):
    made = {"framed": (Framed, FRAMED), "instruct": (Instruct, INSTRUCT)}
    if name == "bytes":
        return reading_chats(bytes_encoder(), PLAIN, ("assistant",))
    tokenizer, template = made[name]
    return reading_chats(SubwordEncoder(tokenizer()), template, ("assistant",))


def rendered(encoder, stream):
    """A stream as text, specials spelled."""
    names, tokens = encoder.vocabulary.names, encoder.vocabulary.token_bytes
    return b"".join(tokens[i] or names.get(i, "").encode() for i in stream.symbols[:-1].tolist()).decode()


@pytest.mark.parametrize(
    ("name", "text", "learnt"),
    [
        (
            "framed",
            "<start_of_turn>user\nHow many legs has a spider? 🌝<end_of_turn>\n<start_of_turn>assistant\nEight legs."
            "<end_of_turn>\n<start_of_turn>user\nAnd two?<end_of_turn>\n<start_of_turn>assistant\nSixteen, naïve one"
            "<end_of_turn>\n",
            [b"Eight legs.", b"<end_of_turn>", "Sixteen, naïve one".encode(), b"<end_of_turn>"],
        ),
        (
            "instruct",
            "[INST] How many legs has a spider? 🌝 [/INST] Eight legs.</s>[INST] And two? [/INST] Sixteen, naïve one",
            [b"Eight legs.", b"</s>", "Sixteen, naïve one".encode(), b"</s>"],
        ),
        (
            "bytes",
            "user: How many legs has a spider? 🌝\nassistant: Eight legs.\nuser: And two?\n"
            "assistant: Sixteen, naïve one\n",
            [b"Eight legs.\n", "Sixteen, naïve one\n".encode()],
        ),
    ],
)
def test_a_chat_is_what_the_template_renders_and_what_is_said_is_learnt(name, text, learnt):
    """And how a turn ends; the raw bytes are those of the document, of what is learnt those that are said."""
    encoder, data = encoder_of(name), chat(TURNS)
    stream, lossy = encoder.measure(data)
    assert not lossy and rendered(encoder, stream) == text
    assert stream.nbytes.sum() == len(data) and stream.symbols[-1] == encoder.vocabulary.eot
    said, names, tokens = b"", encoder.vocabulary.names, encoder.vocabulary.token_bytes
    for i in stream.symbols[stream.predicted].tolist():
        said += tokens[i] or names[i].encode()
    assert said == b"".join(learnt)
    counted = stream.nbytes[stream.predicted & (encoder.vocabulary.lengths[stream.symbols] > 0)].sum()
    assert counted == len(TURNS[1].content) + len(TURNS[3].content)


def test_other_documents_are_what_they_were():
    """Text goes by the same encoder, also where it holds bytes of marks."""
    plain, encoder = SubwordEncoder(Framed()), encoder_of("framed")
    for data in (b"", b"no chat at all", b"a \xffuser\xfe b", b"\xff\xfe"):
        for a, b in zip(plain.encode(data).symbols, encoder.encode(data).symbols, strict=True):
            assert a == b


@pytest.mark.parametrize(("a", "b"), [("framed", "instruct"), ("bytes", "framed"), ("bytes", "instruct")])
def test_two_templates_are_aligned_by_what_is_said_and_by_role(a, b):
    """Spans of what is said are the same bytes; the ends of turns are one another's, whatever they are called; and no
    span of what is learnt has anything of a template in it."""
    encoders = encoder_of(a), encoder_of(b)
    streams = [encoder.encode(chat(TURNS)) for encoder in encoders]
    found = align(*(TokenEnds.of(s.symbols, s.nbytes, e.vocabulary) for s, e in zip(streams, encoders, strict=True)))
    spans = [found.of_a, found.of_b]
    for stream, encoder, of in zip(streams, encoders, spans, strict=True):
        text = stream.predicted & (encoder.vocabulary.lengths[stream.symbols] > 0) & (stream.nbytes > 0)
        learnt = set(of[text].tolist())
        inside = stream.nbytes[np.isin(of, list(learnt))].sum()
        assert NONE not in learnt and inside == len(TURNS[1].content) + len(TURNS[3].content)
    if a != "bytes":
        ends = [of[stream.predicted & (stream.nbytes == 0)] for of, stream in zip(spans, streams, strict=True)]
        assert ends[0].tolist() == ends[1].tolist() and len(ends[0]) == 2 and NONE not in ends[0]


BARE = "{{ bos_token }}{% for message in messages %}{{ message['content'] }}{% endfor %}"


@pytest.mark.parametrize(("a", "b"), [("framed", "instruct"), ("bytes", "framed"), ("framed", BARE), (BARE, "bytes")])
def test_offsets_are_those_of_the_document(a, b):
    """Whatever a template strips, or has around turns, if anything: a symbol of what is said ends where its last byte
    does, so that no span has other bytes on the other side."""
    encoders = [
        reading_chats(SubwordEncoder(Instruct()), BARE) if name == BARE else encoder_of(name) for name in (a, b)
    ]
    turns = [Turn("user", b" \n spiders "), Turn("assistant", b"\n\nEight legs\n"), Turn("assistant", b"no more ")]
    data = chat(turns)
    for encoder in encoders:
        made = encoder.chat(data)
        ends, tokens = np.cumsum(made.stream.nbytes), encoder.vocabulary.token_bytes
        assert ends[-1] == len(data)
        for end, count, i in zip(ends, made.said, made.stream.symbols, strict=True):
            assert data[end - count : end] == (tokens[i] if count else b"")
    streams = [encoder.encode(data) for encoder in encoders]
    found = align(*(TokenEnds.of(s.symbols, s.nbytes, e.vocabulary) for s, e in zip(streams, encoders, strict=True)))
    assert len(found.ends) > 10 and found.ends[-1] >= len(data) - 1


def test_what_a_template_strips_is_counted():
    """Bytes that it leaves out go with their neighbours, and the document is lossy."""
    data = chat([Turn("user", b" a \n"), Turn("assistant", b"\n b ")])
    stream, lossy = encoder_of("framed").measure(data)
    assert lossy and stream.nbytes.sum() == len(data)
    assert "user\na<end_of_turn>" in rendered(encoder_of("framed"), stream)
    assert not encoder_of("instruct").measure(data)[1]


@pytest.mark.parametrize("name", ["framed", "instruct", "bytes"])
def test_turns_may_say_nothing(name):
    """Their ends are learnt all the same."""
    encoder, data = encoder_of(name), chat([Turn("user", b""), Turn("assistant", b"")])
    stream, _ = encoder.measure(data)
    assert stream.nbytes.sum() == len(data) and stream.predicted.sum() == 1


@pytest.mark.parametrize(
    ("template", "turns", "message"),
    [
        ("{% for m in messages %}{{ m.content | upper }}{% endfor %}", TURNS, "the chat: .* changes what is said"),
        ("{{ messages[0].content }}", TURNS, "the chat: .* leaves turns out, or says some of them twice"),
        ("{% for m in messages %}{{ m.role.x.y }}{% endfor %}", TURNS, "the chat: .* cannot be rendered"),
    ],
)
def test_templates_that_do_not_say_what_was_said_are_refused(template, turns, message):
    """With the document; a chat that is half of one would be learnt without a word."""
    encoder = reading_chats(SubwordEncoder(Framed()), template, ("assistant",))
    with pytest.raises(ValueError, match=message):
        encoder.measure(chat(turns), "the chat")


def test_turns_come_back():
    """From the bytes of a document; a text is no chat."""
    assert turns_of(chat(TURNS)) == TURNS and turns_of(b"text") == [] == turns_of(b"")
    assert without_marks(chat(TURNS[2:])) == "And two?\nSixteen, naïve one".encode() and without_marks(b"a") == b"a"
    with pytest.raises(ValueError, match="turn 0: 'a b' is no role"):
        chat([Turn("a b", b"")])
    with pytest.raises(ValueError, match="turn 1: what is said is not UTF-8"):
        chat([Turn("user", b""), Turn("user", b"\xff")])


def record(*turns):
    return json.dumps({"messages": [{"role": role, "content": content} for role, content in turns]})


def test_a_mixture_with_chats_is_known_by_its_name():
    """Who reads it has to have a template."""
    assert has_chats("chats:a") and has_chats("0.3*stdlib + 0.7*chats:a/*.jsonl")
    assert not has_chats("stdlib") and not has_chats("0.5*text:chats:a + jsonl:b")


def test_chats_are_a_source(tmp_path):
    """A line of JSON each; two tokenisations of them go through the pipeline, and what is not said is not scored."""
    lines = [record(("user", f"What is {i}?"), ("assistant", f"It is {i} legs.")) for i in range(30)]
    for split in ("train", "validation"):
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines))
    name = f"chats:{tmp_path}/{{split}}.jsonl"
    corpus = open_source(name, "train", cache=tmp_path / "cache", field="messages")
    assert len(corpus) == 30 and turns_of(corpus[0].data)[1].role == "assistant"
    others = [Tokenisation(encoder_of("instruct"), 160, 1)]
    shape = {"rows": 2, "symbols": 160, "units": 1, "packing_bins": 2}
    made = batch_iterator(corpus, encoder_of("framed"), others, **shape, epochs=1)
    said = sum(len(turns_of(corpus[i].data)[1].content) for i in range(30))
    assert sum(int((b.tokens.bytes_BxS * b.tokens.weights_BxS).sum()) for b in made) == said
    assert made.report.bytes_scored == made.report.other_bytes_scored == said < made.report.bytes_in


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"messages": "hello"}', "1: field 'messages' holds no list of turns"),
        ('{"messages": [{"role": "user"}]}', r"1: turn 0 has no text as `role` and `content`; it has \['role'\]"),
        ('{"messages": [{"role": "U s", "content": ""}]}', "1: turn 0: 'U s' is no role"),
        ('{"messages": [{"role": "user", "content": "\\ud800"}]}', "1: turn 0: what is said is not UTF-8"),
        ('{"text": []}', "no field 'messages'; there is 'text'"),
    ],
)
def test_what_is_no_chat_is_named(tmp_path, line, message):
    """By file and line."""
    (tmp_path / "train.jsonl").write_text(line)
    with pytest.raises(SourceError, match=message):
        open_source(f"chats:{tmp_path}/{{split}}.jsonl", "train", cache=tmp_path / "cache", field="messages")


def test_an_encoder_of_chats_comes_of_a_config(tmp_path):
    """Of tokens and bytes; units have no template."""
    text = default_config().text
    text.kind, text.chat.template = "subword", FRAMED
    encoder = make_encoder(text, Framed())
    assert isinstance(encoder, ChatSubwordEncoder) and encoder.learnt == ("assistant",)
    text.kind = "byte_units"
    with pytest.raises(ValueError, match=r"text.chat.template needs text.kind 'subword' or 'bytes', not 'byte_units'"):
        make_encoder(text)
    (tmp_path / "chat.jinja").write_text(FRAMED)
    assert template_at(str(tmp_path / "chat.jinja")) == template_at(FRAMED) == FRAMED
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "chat_template.jinja").write_text(PLAIN)
    assert template_at(str(tmp_path / "files")) == PLAIN
    for place, message in (("nowhere", "no chat template at nowhere"), (str(tmp_path), "comes with no chat template")):
        with pytest.raises(HubError, match=message):
            template_at(place)


def test_a_class_is_what_a_special_is_for():
    """What ends a turn in one tokenizer may end texts, too, in another."""
    framed, instruct = Framed().vocabulary, Instruct().vocabulary
    classes = {name: int(classes_of(framed)[i]) for i, name in framed.names.items()}
    assert classes == {"<pad>": 3, "<eos>": 2, "<bos>": 1, "<start_of_turn>": 3, "<end_of_turn>": 2}
    assert int(classes_of(instruct)[instruct.eot]) == 2
