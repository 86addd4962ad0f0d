"""Lets a run's checkpoint go on with prompts, all in one batch, or with one, written as it comes (`--stream`).

python experiments/generate.py --run=runs/hat --prompt='import ' --prompt='class ' --max_bytes=200 --top_p=0.9
python experiments/generate.py --run=runs/hat --prompt='import ' --stream
"""

import sys

from absl import flags

from lexitok.config.flags import run

RUN = flags.DEFINE_string("run", None, "Directory of the run.", required=True)
PROMPTS = flags.DEFINE_multi_string("prompt", [""], "Text to go on with; may be given several times.")
MAX_BYTES = flags.DEFINE_integer("max_bytes", 200, "Bytes to write, at most.")
TEMPERATURE = flags.DEFINE_float("temperature", 0.7, "0: always the most likely symbol.")
TOP_K = flags.DEFINE_integer("top_k", 0, "Only the k most likely symbols; 0: all.")
TOP_P = flags.DEFINE_float("top_p", 1.0, "Only the most likely symbols that together have this probability.")
STOP = flags.DEFINE_multi_string("stop", [], "Text that ends the output; may be given several times.")
SEED = flags.DEFINE_integer("seed", 0, "Of the random choices.")
PROMPT_UNITS = flags.DEFINE_enum("prompt_units", "splitter", ["splitter", "router"], "Who finds the units of a prompt.")

STREAM = flags.DEFINE_bool("stream", False, "Write the text of the one prompt as it comes.")


@flags.multi_flags_validator(["prompt", "stream"], message="--stream writes one text: give one --prompt")
def _one_prompt(values: dict) -> bool:
    return not values["stream"] or len(values["prompt"]) == 1


def main() -> None:
    from lexitok.inference.generate import generate
    from lexitok.inference.stream import stream
    from lexitok.runs.load import load_model

    model, encoder = load_model(RUN.value)
    prompts = [prompt.encode() for prompt in PROMPTS.value]
    settings = {
        "max_bytes": MAX_BYTES.value,
        "temperature": TEMPERATURE.value,
        "top_k": TOP_K.value,
        "top_p": TOP_P.value,
        "stop": [stop.encode() for stop in STOP.value],
        "seed": SEED.value,
        "prompt_units": PROMPT_UNITS.value,
    }
    out = sys.stdout.buffer
    if STREAM.value:
        out.write(prompts[0])
        out.flush()
        for _, new in stream(model, encoder, prompts, **settings):
            out.write(new)
            out.flush()
        out.write(b"\n")
        return
    for prompt, text in zip(prompts, generate(model, encoder, prompts, **settings), strict=True):
        out.write(prompt + text + b"\n")


if __name__ == "__main__":
    run(main)
