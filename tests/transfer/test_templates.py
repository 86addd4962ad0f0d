"""Chats of transferred models: under the template and the specials that the model knows, or under others by choice."""

import json

import numpy as np
import pytest
from greedy import rows
from samples import made

from lexitok.config.files import load_config
from lexitok.hub import load
from lexitok.hub.chat_template import read_template, write_template
from lexitok.hub.conversion import from_run, to_run, write_run
from lexitok.runs.checkpoints.files import RunRecord
from lexitok.runs.load import load_model
from lexitok.text.added_specials import with_specials
from lexitok.text.matching import match
from lexitok.text.sentencepiece_tokenizer import SentencePieceTokenizer
from lexitok.transfer.errors import TransferError
from lexitok.transfer.methods import make_method
from lexitok.transfer.rows import init_embeddings
from lexitok.transfer.runs import transfer_run
from lexitok.transfer.templates import Chat, check_chat, choose_chat, generation_config

TEXT = [b"How many legs has a spider? Eight. And two of them?\nuser model assistant\n"] * 20
OURS = "{% for m in messages %}<start_of_turn>{{ m.role }}\n{{ m.content }}<end_of_turn>\n{% endfor %}"
THEIRS = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"


def trained(size, *specials):
    return with_specials(SentencePieceTokenizer.train(TEXT, kind="bpe", size=size), specials)


SOURCE = trained(300, "<start_of_turn>", "<end_of_turn>", "<odd>")
TARGET = trained(320, "<|im_start|>", "<|im_end|>")
TABLE = rows(SOURCE, D=4)


def chosen(tmp_path, choice="source", template=OURS, target=TARGET):
    write_template(tmp_path / "files", template)
    return choose_chat(choice, tmp_path / "files", tmp_path / "target", SOURCE.vocabulary, target)


def test_the_source_keeps_its_template_and_its_specials(tmp_path):
    """Those that the new tokenizer lacks come behind its ids, with the rows that they had."""
    chat = chosen(tmp_path)
    assert chat.template == OURS and chat.added == ("<start_of_turn>", "<end_of_turn>")
    vocabulary = chat.target.vocabulary
    assert vocabulary.size == 324 and [vocabulary.names[i] for i in (322, 323)] == list(chat.added)
    tables = init_embeddings(SOURCE, chat.target, TABLE, None, method_in=make_method("mean"))
    np.testing.assert_array_equal(tables.entering.rows_VxD[322:], TABLE[300:302])
    check_chat(chat, SOURCE, chat.target, tables.match)
    wrong = match(SOURCE.vocabulary, vocabulary, {322: 301})
    with pytest.raises(TransferError, match="'<start_of_turn>' is not what it was: id or text 300 before"):
        check_chat(chat, SOURCE, chat.target, wrong)
    without = chosen(tmp_path, template=None)
    assert without == Chat("source", None, TARGET)
    check_chat(without, SOURCE, TARGET, wrong)


def test_the_target_may_bring_its_own(tmp_path):
    """If it has one, with specials that it has."""
    (tmp_path / "target").mkdir()
    with pytest.raises(TransferError, match="target comes with no chat template"):
        chosen(tmp_path, "target")
    write_template(tmp_path / "target", THEIRS)
    assert chosen(tmp_path, "target") == Chat("target", THEIRS, TARGET)
    write_template(tmp_path / "target", OURS)
    with pytest.raises(TransferError, match="names the special '<start_of_turn>', and the new tokenizer has neither"):
        chosen(tmp_path, "target")
    write_template(tmp_path / "target", "{{")
    with pytest.raises(TransferError, match=r"the chat template \(target\): the chat template is none"):
        chosen(tmp_path, "target")


def test_specials_of_a_file_go_by_their_roles(tmp_path):
    """A start of a turn is one, however it is spelled; what has no such is refused by its name."""
    file = tmp_path / "chat.jinja"
    file.write_text(OURS)
    chat = chosen(tmp_path, str(file))
    assert chat.template == THEIRS and chat.renamed == {
        "<start_of_turn>": "<|im_start|>",
        "<end_of_turn>": "<|im_end|>",
    }
    check_chat(chat, SOURCE, TARGET, match(SOURCE.vocabulary, TARGET.vocabulary))
    file.write_text(OURS + "<think>")  # which neither has: it is text
    assert chosen(tmp_path, str(file)).template == THEIRS + "<think>"
    for special in ("<odd>", "[INST]"):
        file.write_text(OURS + special)
        with pytest.raises(TransferError, match=f"names the special '{special}'".replace("[", r"\[")):
            chosen(tmp_path, str(file))
    with pytest.raises(TransferError, match="no chat template at nowhere; it may be source, target or a file"):
        chosen(tmp_path, "nowhere")
    file.write_bytes(b"\xff")
    with pytest.raises(TransferError, match="can't decode byte"):
        chosen(tmp_path, str(file))


def test_a_template_that_cannot_chat_is_refused(tmp_path):
    """The source's template was never looked at until now."""
    chat = chosen(tmp_path, template="{{ raise_exception('roles must alternate') }}")
    with pytest.raises(TransferError, match="cannot be rendered: roles must alternate"):
        check_chat(chat, SOURCE, TARGET, match(SOURCE.vocabulary, TARGET.vocabulary))
    text_now = with_specials(SentencePieceTokenizer.train([b"<start_of_turn>" * 50], kind="bpe", size=275), [])
    if b"<start_of_turn>" in text_now.vocabulary.token_bytes:
        with pytest.raises(TransferError, match="needs its specials: the special '<start_of_turn>' cannot be added"):
            chosen(tmp_path, target=text_now)


def test_ids_that_end_a_text_are_the_new_ones(tmp_path):
    """A chat that never stops is what comes of the old ones."""
    target = chosen(tmp_path).target.vocabulary
    found = match(SOURCE.vocabulary, target)
    assert generation_config(tmp_path, found, target) is None
    file = tmp_path / "generation_config.json"
    file.write_text(json.dumps({"eos_token_id": [2, 301], "bos_token_id": 1, "pad_token_id": 302, "top_k": 64}))
    read = json.loads(generation_config(tmp_path, found, target))
    assert read == {"eos_token_id": [2, 323], "bos_token_id": 1, "top_k": 64}  # nobody has <odd> now
    file.write_text("[1]")
    with pytest.raises(TransferError, match="not a generation config"):
        generation_config(tmp_path, found, target)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A model of random parameters that chats, in the layout of others."""
    root = tmp_path_factory.mktemp("chats")
    small = [f"model.backbone.{axis}" for axis in ("D=8", "L=1", "H=2", "K=2", "N=4", "F=8")]
    config = load_config(
        "configs/subword.py:tiny", [*small, "text.vocabulary.size=303", "model.interface.embed_scale=1.0"]
    )
    model, _ = made(config, SOURCE)
    write_run(root / "run", RunRecord(config, SOURCE.to_bytes(), {}), model)
    from_run(root / "run", root / "hf")
    write_template(root / "hf", OURS)
    (root / "hf" / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 301]}))
    to_run(root / "hf", root / "chats")
    (root / "target").mkdir()
    (root / "target" / "tokenizer.model").write_bytes(TARGET.to_bytes())
    write_template(root / "target", THEIRS)
    return root


def test_a_chat_goes_through(checkpoint, tmp_path):
    """In as a checkpoint, out as one, with the template, its specials and what ends a text."""
    report = transfer_run(checkpoint / "chats", checkpoint / "target", tmp_path / "new", method_in="mean", multiple=8)
    assert "Chat template: source. Specials that were added for it: <start_of_turn>, <end_of_turn>." in report
    from_run(tmp_path / "new", tmp_path / "out")
    assert read_template(tmp_path / "out") == OURS
    assert json.loads((tmp_path / "out" / "generation_config.json").read_text()) == {"eos_token_id": [2, 323]}
    again = load(tmp_path / "out").tokenizer.vocabulary
    assert again.size == 328 and again.names[323] == "<end_of_turn>" and 327 in again.specials
    model, _ = load_model(tmp_path / "new")
    old, _ = load_model(checkpoint / "chats")
    np.testing.assert_array_equal(model.interface.table[323], old.interface.table[301])
    assert np.abs(model.interface.table[...]).sum(axis=1).min() > 0  # padding, too


def test_the_other_chat_is_a_choice(checkpoint, tmp_path, monkeypatch):
    """And what does not come back as it was chosen is not kept."""
    how = {"method_in": "mean", "template": "target", "multiple": 8}
    report = transfer_run(checkpoint / "chats", checkpoint / "target", tmp_path / "new", **how)
    assert "Chat template: target." in report and read_template(tmp_path / "new" / "tokenizer") == THEIRS
    monkeypatch.setattr("lexitok.transfer.runs.write_template", lambda folder, template: None)
    with pytest.raises(TransferError, match="the chat template that was written is another"):
        transfer_run(checkpoint / "chats", checkpoint / "target", tmp_path / "lost", method_in="mean", multiple=8)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
