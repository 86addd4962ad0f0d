"""How many of the tokens that a small model drafts a large one would keep, on given text (speculative decoding).

python experiments/transfer.py --run=runs/small --tokenizer=runs/large/vocabulary.model --workdir=runs/draft
python experiments/acceptance.py --draft=runs/draft --target=runs/large --source='text:books/*.txt' --bytes=100000

Both runs have the same tokens; a transfer gives the small model those of the large one.
"""

import dataclasses
import json

from absl import flags

from lexitok.config.flags import run

DRAFT = flags.DEFINE_string("draft", None, "Directory of the small model's run.", required=True)
TARGET = flags.DEFINE_string("target", None, "Directory of the large model's run.", required=True)
SOURCE = flags.DEFINE_string("source", None, "Source of the documents; not given: that of the large model's run.")
SPLIT = flags.DEFINE_string("split", "validation", "Split of the source.")
BYTES = flags.DEFINE_integer("bytes", 100_000, "Whole documents up to so many bytes; 0: all.")
DRAFTED = flags.DEFINE_list("drafted", ["1", "2", "4", "8"], "Tokens that are drafted at once.")


def main() -> None:
    from lexitok.analysis.drafts import acceptance_of_runs

    drafted = [int(count) for count in DRAFTED.value]
    where = {"source": SOURCE.value, "split": SPLIT.value, "max_bytes": BYTES.value}
    found = acceptance_of_runs(DRAFT.value, TARGET.value, drafted=drafted, **where)
    print(json.dumps(dataclasses.asdict(found), indent=1))


if __name__ == "__main__":
    run(main)
