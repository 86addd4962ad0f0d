"""What several processes share: one lock and one record of a run, refused as a whole; arrays that are whole in each."""

import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

from lexitok.config import default_config
from lexitok.config.files import override
from lexitok.runs.checkpoints.files import RunRecord
from lexitok.runs.directory import RunDirectory

PROCESS = """
    import sys
    import jax
    import numpy as np

    jax.distributed.initialize(f"localhost:{sys.argv[2]}", 2, int(sys.argv[3]))

    from lexitok.config import default_config
    from lexitok.runs.checkpoints.files import RunRecord
    from lexitok.runs.directory import RunDirectory

    from lexitok.sharding import make_mesh, put_whole

    with jax.set_mesh(make_mesh()), jax.transfer_guard("disallow"):
        shared = put_whole(np.arange(6, dtype=np.int32))
        here = jax.device_get(shared.addressable_data(0))
        print(len(shared.sharding.device_set), shared.is_fully_replicated, here[5])

    for name in ("fresh", "other"):
        try:
            with RunDirectory(f"{sys.argv[1]}/{name}", RunRecord(default_config())) as directory:
                directory.begin(0)
                directory.write("result.json", str(jax.process_index()))
            print(name, "done")
        except Exception as error:
            print(name, type(error).__name__)
"""


def test_all_processes_begin_or_none(tmp_path):
    """The first looks, takes the lock and writes; where it is refused the others stop too, and wait for nobody.

    Before that they put an array, which each has, on the devices of both.
    """
    other = default_config()
    override(other, ["seed=5"])
    with RunDirectory(tmp_path / "other", RunRecord(other)) as directory:
        directory.begin(0)
    said = run_two(tmp_path)
    assert said == ["2 True 5 fresh done other CheckpointMismatchError", "2 True 5 fresh done other RunInUseError"]
    assert (tmp_path / "fresh" / "result.json").read_text() == "0"
    assert sorted(path.name for path in (tmp_path / "fresh").iterdir()) == ["config.json", "result.json"]


def run_two(folder: Path) -> list[str]:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", textwrap.dedent(PROCESS), folder, port, str(i)],
            env={**os.environ, "JAX_PLATFORMS": "cpu"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]
    found = [process.communicate(timeout=200) for process in processes]
    assert not any(process.returncode for process in processes), found
    lines = [[line for line in out.splitlines() if "Gloo" not in line] for out, _ in found]
    return [" ".join(said) for said in lines]
