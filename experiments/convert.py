"""Converts a pretrained checkpoint to a run, which everything here opens, or a run to a checkpoint for elsewhere.

With a config of a byte-unit model, what is written is that model around the checkpoint's backbone, to be trained.

python experiments/convert.py --source=gemma-3-270m.gguf --workdir=runs/gemma
python experiments/convert.py --source=hf:HuggingFaceTB/SmolLM2-135M --workdir=runs/smollm2
python experiments/convert.py --source=runs/gemma --workdir=gemma-hf --dtype=bfloat16
python experiments/convert.py --source=gemma-3-270m.gguf --workdir=runs/hat --config=configs/hat_pretrained.py
python experiments/evaluate.py --run=runs/gemma --source='text:books/*.txt' --split=validation
"""

from absl import flags

from lexitok.config.flags import define_config, run

SOURCE = flags.DEFINE_string(
    "source",
    None,
    "A directory in Hugging Face's layout, a GGUF, hf:OWNER/NAME (downloads it), or a run.",
    required=True,
)
CONFIG = define_config()
WORKDIR = flags.DEFINE_string("workdir", None, "Directory to be written; there must be nothing yet.", required=True)
DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "bfloat16", "float16"], "Of matrices and tables.")
TOKENIZER = flags.DEFINE_string("tokenizer", None, "File or directory of the tokenizer, where --source has none.")
FAMILY = flags.DEFINE_string("family", None, "Family that a run is written as; not given: the one that it came from.")
STEP = flags.DEFINE_integer("step", None, "Checkpoint of the run; not given: the newest.")
SHARD_GB = flags.DEFINE_float("shard_gb", 5.0, "Size of a file that is written, in 10^9 bytes, at most.")


def main() -> None:
    from lexitok.analysis.hat_conversion import to_hat
    from lexitok.hub.conversion import from_run, is_run, to_run
    from lexitok.sharding import make_mesh

    if is_run(SOURCE.value):
        written = {"step": STEP.value, "dtype": DTYPE.value, "family": FAMILY.value, "shard_gb": SHARD_GB.value}
        family = from_run(SOURCE.value, WORKDIR.value, **written)
        print(f"{WORKDIR.value}: written as {family}")
        return
    if CONFIG.path.value:
        to_hat(SOURCE.value, WORKDIR.value, CONFIG.load())
        print(f"{WORKDIR.value}: a run to train on from, with --config.train.start.run={WORKDIR.value}")
        return
    to_run(SOURCE.value, WORKDIR.value, tokenizer=TOKENIZER.value, mesh=make_mesh(fsdp=-1, data=1), dtype=DTYPE.value)
    print(f"{WORKDIR.value}: a run with one checkpoint; experiments/evaluate.py and generate.py take it as --run")


if __name__ == "__main__":
    run(main)
