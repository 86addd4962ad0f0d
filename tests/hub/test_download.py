"""Models by name: from a hub on this machine, which speaks as much of the protocol as the library asks for."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from lexitok.hub import load

GOLDEN = Path(__file__).parent / "goldens/qwen3_sharded"
COMMITS = {"main": "1" * 40, "old": "2" * 40}
FILES = {file.name: file.read_bytes() for file in GOLDEN.iterdir()} | {
    "modeling_evil.py": b"raise SystemExit",
    "pytorch_model.bin": b"a pickle",
}

SCRIPT = """
import sys
from lexitok.hub import HubError, load
for name in sys.argv[1:]:
    try:
        model, _, config = load(name)
        print(config.pretrained.family, f"{float(model.interface.table[...].sum()):.6f}")
    except HubError as error:
        print(str(error).splitlines()[0])
"""


class Hub(BaseHTTPRequestHandler):
    """`me/tiny`, with two revisions that differ in one file; notes what is asked for."""

    asked: list[str]

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[:5] == ["api", "models", "me", "tiny", "tree"]:
            listing = [{"type": "file", "path": name, "size": len(FILES[name]), "oid": "0" * 40} for name in FILES]
            self._answer(json.dumps(listing).encode(), {})
        elif parts[:4] == ["api", "models", "me", "tiny"] and parts[-1] in (*COMMITS, *COMMITS.values()):
            siblings = [{"rfilename": name} for name in FILES]
            sha = COMMITS.get(parts[-1], parts[-1])
            self._answer(json.dumps({"id": "me/tiny", "sha": sha, "siblings": siblings}).encode(), {})
        elif parts[:3] == ["me", "tiny", "resolve"] and parts[-1] in FILES:
            data = FILES[parts[-1]] + (b"\n" if parts[3:] == [COMMITS["old"], "config.json"] else b"")
            self._answer(data, {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": parts[3]})
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _answer(self, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for key, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, format: str, *args) -> None:
        """Says nothing."""


@pytest.fixture
def asked() -> Iterator[list[str]]:
    """What the hub is asked for while a test runs; its address is the first."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OneHub", (Hub,), {"asked": []}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    asked = server.RequestHandlerClass.asked  # type: ignore[attr-defined]
    asked.append(f"http://127.0.0.1:{server.server_port}")
    yield asked
    server.shutdown()
    server.server_close()


def test_models_are_fetched_by_name(asked, tmp_path):
    """All shards and no code, what is alike once; errors name the model."""
    sources = ("hf:me/tiny", "hf:me/tiny", "hf:me/tiny@old", "hf:me/other", "hf:me/tiny@none", "me/tiny")
    environment = os.environ | {"HF_ENDPOINT": asked[0], "HF_HUB_CACHE": str(tmp_path), "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, "-c", SCRIPT, *sources]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[:3] == [f"qwen3 {float(np.asarray(load(GOLDEN).model.interface.table[...]).sum()):.6f}"] * 3
    assert "me/other could not be downloaded" in said[3] and "me/tiny could not be downloaded" in said[4]
    assert "there is no checkpoint at me/tiny" in said[5] and len(said) == 6
    wanted = [f"{COMMITS['main']}/{name}" for name in FILES if name.endswith((".safetensors", ".json"))]
    fetched = [line.removeprefix("GET /me/tiny/resolve/") for line in asked if line.startswith("GET /me/tiny")]
    assert sorted(fetched) == sorted([*wanted, f"{COMMITS['old']}/config.json"])
