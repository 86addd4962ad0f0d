"""Config files: loading, overriding, and messages that say what there is."""

import subprocess
import sys
import textwrap

import pytest
from absl import flags
from ml_collections import ConfigDict

from lexitok.config import default_config
from lexitok.config import flags as runner
from lexitok.config.files import (
    ConfigError,
    diff,
    flatten,
    format_config,
    from_json,
    load_config,
    override,
    to_json,
    variant,
)

FILE = """
    from lexitok.config import default_config
    from lexitok.config.files import variant

    def get_config(arg=""):
        c = default_config()
        c.name = "tried"
        c.data.units = c.data.get_ref("symbols") // 4
        return variant(c, arg, cpu=cpu, gpu1=lambda c: None)

    def cpu(c):
        c.train.steps = 7
"""


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / "tried.py"
    path.write_text(textwrap.dedent(FILE))
    return str(path)


def error(spec, overrides=()):
    with pytest.raises(ConfigError) as caught:
        load_config(spec, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_variants(config_file):
    """One file is an experiment on every machine: the argument says which."""
    assert load_config(config_file).train.steps == 1000
    assert load_config(config_file + ":cpu").train.steps == 7
    assert "unknown variant 'gpu' (did you mean 'gpu1'?); there are: cpu, gpu1" in error(config_file + ":gpu")
    config = ConfigDict({"a": 1})
    assert variant(config, "b", b=lambda c: ConfigDict({"a": 2})).a == 2  # a variant may be another tree


def test_sizes_come_first():
    """A size makes all stacks anew: what was changed in them before would be lost, whichever is named first."""

    def size(c):
        c.stack = ConfigDict({"width": 8, "kind": "plain"})

    def kind(c):
        c.stack.kind = "other"

    for arg in ("big,other", "other,big"):
        found = variant(ConfigDict({"stack": {"width": 4, "kind": "plain"}}), arg, {"big": size}, other=kind)
        assert found.stack.to_dict() == {"width": 8, "kind": "other"}


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("optimizer.lr=1e-3", 1e-3),
        ("optimizer.lr=1", 1.0),
        ("train.steps=2_000", 2000),
        ("train.steps=1e4", 10_000),
        ("name=a=b", "a=b"),
        ("data.source=text:a/*.md", "text:a/*.md"),
        ("model.stage.backbone.layer_kinds=local,local,global", ("local", "local", "global")),
        ("model.stage.backbone.layer_kinds=('global',)", ("global",)),
        ("model.stage.backbone.rope_llama3=(8.0,1.0,4.0,8192)", (8.0, 1.0, 4.0, 8192)),
        ("model.stage.backbone.rope_llama3=()", ()),
    ],
)
def test_override(config_file, assignment, value):
    """Every field can be set from the command line, by the type that it has."""
    key = assignment.split("=")[0]
    changed = load_config(config_file, [assignment])
    assert flatten(changed)[key] == value
    assert type(flatten(changed)[key]) is type(value)
    assert set(diff(load_config(config_file), changed)) <= {key}


def test_fields_computed_from_others_follow(config_file):
    """A reference in a config file stays one under overrides."""
    assert load_config(config_file, ["data.symbols=4096"]).data.units == 1024


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        (
            "optimizer.ler=1",
            "unknown config key 'optimizer.ler': no 'ler' in optimizer (did you mean 'lr'?); its keys: ",
        ),
        ("optimiser.lr=1", "no 'optimiser' in the config (did you mean 'optimizer'?); its keys: data.*, eval.*, "),
        ("optimizer.lr.x=1", "unknown config key 'optimizer.lr.x': optimizer.lr is a value (0.003)"),
        ("model.stage.encoder=3", "config key 'model.stage.encoder' is a section, not a value; its keys: D, F, H"),
        ("optimizer.lr=fast", "config key 'optimizer.lr': 'fast' is not a number; it was 0.003"),
        ("train.steps=1.5", "config key 'train.steps': '1.5' is not a whole number; it was 1000"),
        ("model.stage.backbone.layer_kinds=1,2", "'1,2' is not a tuple like it; it was ('global',)"),
        ("train.steps", "override 'train.steps' has no value: write train.steps=VALUE"),
    ],
)
def test_wrong_overrides_say_what_there_is(config_file, assignment, message):
    """A typo in a key that is silently a new key is an experiment that was not run."""
    assert message in error(config_file, [assignment])


def test_bool_and_none():
    """Types that the default tree does not use, but that others may."""
    config = ConfigDict({"on": False, "any": None})
    override(config, ["on=true", "any=(1,'b')"])
    assert config.on is True and config.any == (1, "b")
    with pytest.raises(ConfigError, match="'1' is not true or false"):
        override(config, ["on=1"])


def test_loaded_configs_are_locked(config_file):
    """Code that writes a new key into a config by mistake fails."""
    with pytest.raises((AttributeError, KeyError)):
        load_config(config_file).train.stepps = 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def get_config(arg): return default_config()", "NameError: name 'default_config' is not defined"),
        ("x = (", "SyntaxError"),
        ("x = 1", "defines no function get_config"),
        ("def get_config(arg): return {}", "returned dict, not a ConfigDict"),
        (
            "from lexitok.config import default_config\n"
            "def get_config(arg):\n    c = default_config()\n    c.lock()\n    c.optimizer.ler = 1.0\n    return c",
            "bad.py:5: ",
        ),
        ("def get_config(): raise AssertionError", "has no variants"),
    ],
)
def test_mistakes_in_a_config_file(tmp_path, text, message):
    """They are told with file and line, on one line."""
    path = tmp_path / "bad.py"
    path.write_text(text)
    assert message in error(f"{path}:cpu") and "bad.py" in error(f"{path}:cpu")


def test_no_such_file(config_file):
    """The message shows the files that there are."""
    assert "(did you mean 'tried.py'?); in " in error(config_file.replace("tried.py", "tride.py"))
    assert "no config file nowhere/at_all.py" in error("nowhere/at_all.py:cpu")


def test_json_and_back():
    """A checkpoint's config is the run's, to the last type: a tuple that comes back as a list breaks a cache key."""
    config = default_config()
    config.model.stage.backbone.rope_llama3 = (8.0, (1, 2))
    back = from_json(to_json(config))
    assert not diff(config, back)
    assert [type(v) for v in flatten(back).values()] == [type(v) for v in flatten(config).values()]
    with pytest.raises(ConfigError, match="'a.b' holds a object"):
        to_json(ConfigDict({"a": {"b": object()}}))


def test_diff_and_dump():
    """Differences by key, types and missing keys included; a dump is one line a value, in a fixed order."""
    a, b = ConfigDict({"x": 1, "s": {"y": 2, "only_a": 0}}), ConfigDict({"x": 1.0, "s": {"y": 3}})
    assert diff(a, b) == {"x": (1, 1.0), "s.y": (2, 3), "s.only_a": (0, None)}
    assert format_config(a) == "s.only_a: 0\ns.y: 2\nx: 1\n"


SCRIPT = """
    import sys
    from absl import flags
    from lexitok.config.files import ConfigError
    from lexitok.config.flags import define_config, run

    CONFIG = define_config()
    WORKDIR = flags.DEFINE_string("workdir", None, "Where the run is.", required=True)

    def main():
        if WORKDIR.value == "bug":
            raise ValueError("not for the user")
        c = CONFIG.load()
        print(c.train.steps, c.optimizer.lr, WORKDIR.value, CONFIG.apply(c).train.steps)

    if __name__ == "__main__":
        run(main)
"""


@pytest.fixture
def script(tmp_path, config_file, monkeypatch, capsys):
    """Runs a script's `main` in this process, with flags of its own; returns exit code, stdout and stderr."""

    def call(*arguments):
        values = flags.FlagValues()
        monkeypatch.setattr(flags, "FLAGS", values)
        config = runner.ConfigFlag(
            flags.DEFINE_string("config", None, "", flag_values=values),
            flags.DEFINE_multi_string("set", [], "", flag_values=values),
        )

        def main():
            c = config.load()
            print(c.train.steps, c.optimizer.lr)

        monkeypatch.setattr(runner.app, "run", lambda f, argv, flags_parser: sys.exit(f(flags_parser(argv))))
        with pytest.raises(SystemExit) as caught:
            runner.run(main, ["script.py", *arguments])
        out = capsys.readouterr()
        return caught.value.code, out.out, out.err

    return call


def test_runner(script, config_file):
    """`--config=FILE:VARIANT --config.key=value`, with `=` or a space; mistakes are one line and exit code 2."""
    arguments = (f"--config={config_file}:cpu", "--config.optimizer.lr=0.5", "--config.train.steps", "9")
    assert script(*arguments) == (0, "9 0.5\n", "")
    assert script(f"--config={config_file}:cpu")[1] == "7 0.003\n"
    for wrong, message in [
        ((f"--config={config_file}", "--config.train.stps=1"), "did you mean 'steps'?"),
        ((f"--config={config_file}", "--config.train.steps=x"), "'x' is not a whole number"),
        ((f"--config={config_file}:tpu",), "there are: cpu, gpu1"),
        ((), "no config was given"),
        ((f"--config={config_file}", "--config.train.steps"), "has no value"),
        ((f"--confg={config_file}",), "confg"),
        ((f"--config={config_file}", "cpu"), "arguments without a flag: cpu"),
    ]:
        code, out, err = script(*wrong)
        assert (code, out) == (2, "") and err.startswith("error: ") and err.count("\n") == 1 and message in err, err


def test_runner_as_a_script(tmp_path, config_file):
    """The whole of it in a process of its own: flags, exit codes, and the traceback of what is not the user's fault."""
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(SCRIPT))

    def call(*arguments):
        done = subprocess.run([sys.executable, path, *arguments], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    good = (f"--config={config_file}:cpu", "--config.train.steps=10", f"--workdir={tmp_path}")
    assert call(*good)[:2] == (0, f"10 0.003 {tmp_path} 10\n")
    code, _, err = call(good[0])
    assert code == 2 and err.startswith("error: ") and err.count("\n") == 1 and "--workdir" in err
    code, _, err = call(good[0], "--workdir=bug")
    assert code == 1 and "Traceback" in err and "not for the user" in err
