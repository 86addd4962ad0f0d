"""What every script in `experiments/` starts with: its config flag, and errors that a user can read.

`--config=configs/hat_v2.py:cpu --config.train.steps=10` loads a config file and changes fields of it.
"""

import dataclasses
import re
import sys
from collections.abc import Callable, Sequence

from absl import app, flags
from ml_collections import ConfigDict

from lexitok.config.files import ConfigError, load_config, override

_OVERRIDE = re.compile(r"--?config\.([^=]+)(=.*)?", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class ConfigFlag:
    """The config that was asked for on the command line.

    Attributes:
      path: `--config`.
      overrides: what was set by `--config.key=value`, in order.
    """

    path: flags.FlagHolder
    overrides: flags.FlagHolder

    def load(self) -> ConfigDict:
        """The config of the file, with the overrides.

        Raises:
          ConfigError: no `--config` was given, or it cannot be loaded.
        """
        if not self.path.value:
            raise ConfigError("no config was given: say --config=configs/NAME.py or --config=configs/NAME.py:VARIANT")
        return load_config(self.path.value, self.overrides.value)

    def apply(self, config: ConfigDict) -> ConfigDict:
        """A config that comes from elsewhere (a checkpoint), with the overrides."""
        changed = config.copy_and_resolve_references()
        changed.lock()
        override(changed, self.overrides.value)
        return changed


def define_config(default: str | None = None) -> ConfigFlag:
    """Defines the flag `--config`, and with `--config.key=value` an override for each of its fields."""
    return ConfigFlag(
        flags.DEFINE_string("config", default, "PATH.py or PATH.py:VARIANT; --config.KEY=VALUE changes a field."),
        flags.DEFINE_multi_string("set", [], "KEY=VALUE, the same as --config.KEY=VALUE."),
    )


def named_values(flag: str, pairs: Sequence[str]) -> dict[str, str]:
    """The values of a flag that is given once for each name, as NAME=VALUE.

    Raises:
      ConfigError: a value without a name, or a name that comes twice.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name or not value:
            raise ConfigError(f"--{flag}: '{pair}' is no NAME=VALUE")
        if name in found:
            raise ConfigError(f"--{flag}: the name '{name}' comes twice")
        found[name] = value
    return found


def run(main: Callable[[], None], argv: Sequence[str] | None = None) -> None:
    """Parses the flags, runs `main`, and exits.

    Errors of classes that lexitok defines are the user's to mend: one line on stderr, and exit code 2. So are wrong
    flags. Anything else keeps its traceback.
    """

    def guarded(_: Sequence[str]) -> int:
        try:
            main()
        except Exception as error:
            if not type(error).__module__.startswith("lexitok."):
                raise
            return _fail(error)
        return 0

    app.run(guarded, argv=list(sys.argv if argv is None else argv), flags_parser=_parse)


def _parse(argv: Sequence[str]) -> list[str]:
    try:
        rest = flags.FLAGS(_overrides_as_set(list(argv)))
        if len(rest) > 1:
            raise flags.Error(f"arguments without a flag: {' '.join(rest[1:])}")
    except (flags.Error, ConfigError) as error:
        sys.exit(_fail(error))
    return rest


def _overrides_as_set(argv: list[str]) -> list[str]:
    """`--config.a.b=c` and `--config.a.b c` as `--set=a.b=c`."""
    out, words = [], iter(argv)
    for word in words:
        match = _OVERRIDE.fullmatch(word)
        if match is None:
            out.append(word)
            continue
        key, value = match.groups()
        if value is None:
            value = next(words, None)
            if value is None:
                raise ConfigError(f"{word} has no value: write {word}=VALUE")
            value = "=" + value
        out.append(f"--set={key}{value}")
    return out


def _fail(error: Exception) -> int:
    print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return 2
