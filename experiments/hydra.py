"""A Hydra: several interfaces over one backbone, of runs that differ in their tokenizers; and its parts as runs again.

python experiments/transfer.py --run=runs/small_base --tokenizer=german.model --workdir=runs/german
python experiments/hydra.py --part=base=runs/small_base --part=german=runs/german --workdir=runs/hydra
python experiments/train.py --config=configs/continued.py:runs/hydra --workdir=runs/hydra_trained \
    --config.data.source='stdlib + jsonl:data/de.{split}.jsonl.xz' --config.data.parts="('base', 'german')"
python experiments/hydra.py --run=runs/hydra_trained --take=german --workdir=runs/german_trained
"""

from absl import flags

from lexitok.config.files import ConfigError
from lexitok.config.flags import named_values, run

PART = flags.DEFINE_multi_string("part", [], "NAME=RUN of a subword model, once for each interface.")
BACKBONE = flags.DEFINE_string("backbone", "", "Name of the part whose backbone it is, where they differ.")
RUN = flags.DEFINE_string("run", None, "Run of a Hydra that a part is taken out of.")
TAKE = flags.DEFINE_string("take", None, "Name of that part.")
WORKDIR = flags.DEFINE_string("workdir", None, "Directory of the new run.", required=True)


def main() -> None:
    from lexitok.transfer.hydra import join_runs, part_as_run

    if bool(PART.value) == bool(RUN.value) or bool(RUN.value) != bool(TAKE.value):
        raise ConfigError("say --part for each of several runs, or --run and --take of a run that has parts")
    if PART.value:
        join_runs(named_values("part", PART.value), WORKDIR.value, backbone=BACKBONE.value)
    elif RUN.value and TAKE.value:
        part_as_run(RUN.value, TAKE.value, WORKDIR.value)
    print(f"written: {WORKDIR.value}")


if __name__ == "__main__":
    run(main)
