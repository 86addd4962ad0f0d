"""Chat templates: found where checkpoints have them, rendered as `transformers` renders them, and what they name."""

import json

import gguf
import pytest

from lexitok.hub.chat_template import gguf_template, read_template, write_template
from lexitok.hub.stored_tensors import HubError
from lexitok.text.chat_template import ChatTemplateError, cut_at_specials, named_in, renamed, render
from lexitok.text.roles import with_roles

GEMMA = """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {{ raise_exception('no system here') }}
{%- endif -%}
{% for message in messages %}
    {%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}
    {{ '<start_of_turn>' + role + '\n' + (message['content'] | trim) + '<end_of_turn>\n' }}
{%- endfor %}
{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}
"""
NAMES = ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>", "<end>")
VOCABULARY = with_roles([b""] * len(NAMES), range(len(NAMES)), dict(enumerate(NAMES)), {})


def test_two_turns_are_rendered_as_they_are_meant():
    """Blocks leave no lines behind, and the assistant is to speak next."""
    assert render(GEMMA, VOCABULARY) == (
        "<bos><start_of_turn>user\nHow many legs has a spider?<end_of_turn>\n"
        "<start_of_turn>model\nEight.<end_of_turn>\n"
        "<start_of_turn>user\nAnd two of them?<end_of_turn>\n<start_of_turn>model\n"
    )
    line = (
        "{% generation %}{{ messages[0] | tojson }}{% endgeneration %}"
        "{% for m in messages %}{% break %}{% endfor %}{{ strftime_now('%Y') }}{{ unk_token }}"
    )
    assert render(line, VOCABULARY, [{"role": "user", "content": "ö"}]) == '{"role": "user", "content": "ö"}2026'


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% for m in %}", "the chat template cannot be rendered"),
        ("{{ messages.nothing.at_all }}", "cannot be rendered: 'list object' has no attribute"),
        ("{{ raise_exception('only one turn') }}", "cannot be rendered: only one turn"),
        ("{{ messages + 1 }}", "cannot be rendered: can only concatenate list"),
        ("{{ ''.__class__.__mro__ }}", "cannot be rendered: access to attribute"),
    ],
)
def test_templates_that_cannot_be_rendered_say_why(template, message):
    """Among them one that would get out of its sandbox."""
    with pytest.raises(ChatTemplateError, match=message):
        render(template, VOCABULARY)


def test_specials_are_found_in_text_and_in_strings():
    """Not in the code of the template, and the longest where one is part of another."""
    assert named_in(GEMMA, NAMES) == ["<start_of_turn>", "<end_of_turn>"]
    assert named_in("a<end>b{% if x == '<eos>' %}{{ bos }}{% endif %}{# <bos> #}", NAMES) == ["<end>", "<eos>"]
    assert named_in("anything", []) == [] and named_in("<<end>>", ["<end>", "<<end>>"]) == ["<<end>>"]
    with pytest.raises(ChatTemplateError, match="the chat template is none"):
        named_in("{{", NAMES)
    assert renamed("<end> <endless>", {"<end>": "[e]"}) == "[e] <endless>" and renamed("x", {}) == "x"
    assert cut_at_specials("<bos>a<end>", NAMES) == ["", "<bos>", "a", "<end>", ""] and cut_at_specials("a", []) == [
        "a"
    ]


def test_a_template_is_found_where_it_is_kept(tmp_path):
    """A file of its own before the settings; of several there the default; once written, it alone is left."""
    settings = tmp_path / "tokenizer_config.json"
    assert read_template(tmp_path) is None
    settings.write_text(json.dumps({"chat_template": "in settings", "eos_token": "<eos>"}))
    assert read_template(tmp_path) == "in settings"
    several = [{"name": "tools", "template": "a"}, {"name": "default", "template": "b"}]
    settings.write_text(json.dumps({"chat_template": several, "eos_token": "<eos>"}))
    assert read_template(tmp_path) == "b"
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": "older"}))
    assert read_template(tmp_path) == "older"
    write_template(tmp_path, GEMMA)
    assert read_template(tmp_path) == GEMMA and json.loads(settings.read_text()) == {"eos_token": "<eos>"}
    assert not (tmp_path / "chat_template.json").exists()
    write_template(tmp_path, None)
    assert read_template(tmp_path) is None
    settings.write_text("{")
    with pytest.raises(HubError, match="tokenizer_config.json: not JSON"):
        read_template(tmp_path)
    settings.write_text("[]")
    with pytest.raises(HubError, match="holds list, not an object"):
        read_template(tmp_path)


def test_a_gguf_keeps_its_template_in_its_metadata(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "a.gguf", "llama")
    writer.add_string("tokenizer.chat_template", GEMMA)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert gguf_template(tmp_path / "a.gguf") == GEMMA
    (tmp_path / "b").write_text("no gguf")
    assert gguf_template(tmp_path / "b") is None and gguf_template(tmp_path) is None
