"""What specials are for: roles, told from how common models spell them, or said by a tokenizer's files."""

from collections.abc import Iterable, Mapping

from lexitok.text.vocabulary import Vocabulary

# In order of preference, where a vocabulary has several.
SPELLINGS: dict[str, tuple[str, ...]] = {
    "bos": ("<bos>", "<s>", "<|begin_of_text|>", "<|startoftext|>", "<｜begin▁of▁sentence｜>", "[BOS]", "<BOS_TOKEN>"),
    "eos": (
        *("<eos>", "</s>", "<|end_of_text|>", "<|endoftext|>", "<｜end▁of▁sentence｜>", "[EOS]", "<EOS_TOKEN>"),
        *("<|END_OF_TURN_TOKEN|>", "<|return|>"),
    ),
    "pad": ("<pad>", "[PAD]", "<|pad|>", "<|finetune_right_pad_id|>", "<｜▁pad▁｜>", "<PAD>"),
    "unknown": ("<unk>", "[UNK]", "<UNK>"),
    "mask": ("<mask>", "[MASK]"),
    "classify": ("[CLS]", "<cls>"),
    "separate": ("[SEP]", "<sep>"),
    # Chats: around a turn, around the name of who speaks, or a special for each speaker.
    "turn_start": ("<start_of_turn>", "<|im_start|>", "<|turn>", "<|start|>", "<|START_OF_TURN_TOKEN|>"),
    "turn_end": ("<end_of_turn>", "<|im_end|>", "<|eot_id|>", "<turn|>", "<|end|>", "<|END_OF_TURN_TOKEN|>", "<|eot|>"),
    "header_start": ("<|start_header_id|>", "<|header_start|>"),
    "header_end": ("<|end_header_id|>", "<|header_end|>", "<|message|>"),
    "system": ("<|system|>", "[SYSTEM_PROMPT]", "<|SYSTEM_TOKEN|>"),
    "system_end": ("[/SYSTEM_PROMPT]",),
    "user": ("<|user|>", "[INST]", "<｜User｜>", "<|USER_TOKEN|>"),
    "user_end": ("[/INST]",),
    "assistant": ("<|assistant|>", "<｜Assistant｜>", "<|CHATBOT_TOKEN|>"),
    "tools": ("[AVAILABLE_TOOLS]", "<tools>"),
    "tools_end": ("[/AVAILABLE_TOOLS]", "</tools>"),
    "tool_call": ("[TOOL_CALLS]", "<tool_call>", "<|python_tag|>"),
    "tool_call_end": ("</tool_call>",),
    "tool_result": ("[TOOL_RESULTS]", "<tool_response>"),
    "tool_result_end": ("[/TOOL_RESULTS]", "</tool_response>"),
    "think": ("[THINK]", "<think>"),
    "think_end": ("[/THINK]", "</think>"),
    # Filling in the middle.
    "prefix": ("<|fim_prefix|>", "<fim_prefix>", "[PREFIX]", "<PRE>"),
    "middle": ("<|fim_middle|>", "<fim_middle>", "[MIDDLE]", "<MID>"),
    "suffix": ("<|fim_suffix|>", "<fim_suffix>", "[SUFFIX]", "<SUF>"),
    "image": ("[IMG]", "<image_soft_token>", "<|image_pad|>"),
    "image_start": ("<start_of_image>", "<|vision_start|>"),
    "image_end": ("<end_of_image>", "<|vision_end|>", "[IMG_END]"),
}
ALL_SPELLINGS = frozenset(spelling for spellings in SPELLINGS.values() for spelling in spellings)


def roles_of(names: Mapping[int, str]) -> dict[str, int]:
    """Role → id, for the specials whose spelling says what they are for."""
    ids = {name: i for i, name in reversed(list(names.items()))}
    found = {role: [ids[s] for s in spellings if s in ids] for role, spellings in SPELLINGS.items()}
    return {role: some[0] for role, some in found.items() if some}


def with_roles(
    tokens: Iterable[bytes], specials: Iterable[int], names: Mapping[int, str], said: Mapping[str, int]
) -> Vocabulary:
    """A vocabulary whose frames and roles are those `said`, or else told from the names.

    A tokenizer for another kind of model may have no `bos` or `eos`: then the specials of like place stand for them
    (`[CLS]` and `[SEP]`, or each for the other), and where there are none either, one id is added behind the others.

    Args:
      tokens: bytes by id; none for specials.
      specials: their ids.
      names: spellings of specials.
      said: role → id, by a tokenizer's files; it overrules the names.
    """
    table, special = list(tokens), set(specials)
    roles = {**roles_of(names), **said}
    eot = _first(roles, ("eos", "separate", "turn_end", "bos", "classify"))
    if eot is None:
        eot = len(table)
        table.append(b"")
        special.add(eot)
    bos = _first(roles, ("bos", "classify"))
    pad = roles.get("pad")
    return Vocabulary(
        tuple(table),
        frozenset(special),
        bos=eot if bos is None else bos,
        eot=eot,
        pad=eot if pad is None else pad,
        names=dict(names),
        roles=roles,
    )


def _first(roles: Mapping[str, int], of: tuple[str, ...]) -> int | None:
    return next((roles[role] for role in of if role in roles), None)
