"""From presets, YAML files and dicts to checked dataclasses."""

from __future__ import annotations

import dataclasses
import json
from importlib import resources
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import yaml

from semantic_cc.config.field_checks import check
from semantic_cc.config.renamed_keys import RENAMED_KEYS, RENAMED_PRESETS, RENAMED_RECIPE_KEYS
from semantic_cc.config.run import Config
from semantic_cc.errors import ConfigError

DEFAULT_PRESET = "small"
"""What a configuration starts from that names no preset."""


ConfigValues = dict[str, Any]
"""Nested keys and plain values of a configuration, as YAML gives them; `parse` checks and types them."""


def preset_names() -> list[str]:
    """Names of the shipped presets."""
    folder = resources.files("semantic_cc") / "presets"
    return sorted(p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.endswith(".yaml"))


def preset_values(name: str) -> ConfigValues:
    """The values of a preset as nested dicts; ``a+b`` lays preset b's own values over preset a.

    Raises:
        ConfigError: for an unknown name.
    """
    if not isinstance(name, str):
        raise ConfigError(f"preset must be a name, not {name!r}")
    values: ConfigValues = {}
    for position, part in enumerate(name.split("+")):
        base, own = _layer(part)
        if base is not None and position == 0:
            # phases run in the order of the preset, not of its base
            order: ConfigValues = {phase: {} for phase in own.get("phases", {})}
            values = merge({"phases": order}, preset_values(base))
        values = merge(values, own)
    return values


def own_values(name: str) -> ConfigValues:
    """The values that a preset itself gives, without those of its base.

    Raises:
        ConfigError: for an unknown name.
    """
    return _layer(name)[1]


def _layer(name: str) -> tuple[str | None, ConfigValues]:
    """A preset's base, if it has one, and its own values."""
    if name in RENAMED_PRESETS:
        raise ConfigError(f"the preset {name!r} is now called {RENAMED_PRESETS[name]!r}")
    if name not in preset_names():
        raise ConfigError(f"unknown preset {name!r}; choose one of: {', '.join(preset_names())}")
    text = (resources.files("semantic_cc") / "presets" / f"{name}.yaml").read_text()
    own = yaml.safe_load(text) or {}
    return own.pop("base", None), own


def merge(base: ConfigValues, over: ConfigValues) -> ConfigValues:
    """`base` with the values of `over` laid on top, section by section.

    Where `over` has null for a section, such as a phase, the section is left out.
    """
    result = dict(base)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merge(result[key], value)
        else:
            result[key] = value
    return result


def load_config(source: str | Path | ConfigValues, overrides: ConfigValues | None = None) -> Config:
    """A checked configuration from a preset name, a YAML file or nested dicts.

    A YAML file may name a `preset` to start from. `overrides` is laid on top.

    Raises:
        ConfigError: unknown preset, key or value; unreadable file. The message names the key.
    """
    if isinstance(source, dict):
        values = source
    elif str(source).endswith((".yaml", ".yml")):
        values = _read_yaml(Path(source))
    else:
        values = {"preset": str(source)}
    values = merge(values, overrides or {})
    preset = values.get("preset", DEFAULT_PRESET)
    return parse(Config, merge(preset_values(preset), {**values, "preset": preset}))


def _read_yaml(path: Path) -> ConfigValues:
    try:
        return parse_yaml(path.read_text(), path)
    except OSError as error:
        raise ConfigError(
            f"cannot read the configuration {path}: {error.strerror}; check the path"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error


class _UniqueKeys(yaml.SafeLoader):
    """PyYAML keeps the last of two equal keys without a word; this refuses them."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for place, key in enumerate(keys):
            if key.value in (other.value for other in keys[:place]):
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value} occurs twice; write its values together", key.start_mark
                )
        return super().construct_mapping(node, deep)


def parse_yaml(text: str, where: str | Path) -> ConfigValues:
    """The keys and values of a YAML text.

    Raises:
        ConfigError: no YAML, a key that occurs twice in a section, or something else than keys and values; in one line
            that begins with `where`.
    """
    try:
        values = yaml.load(text, _UniqueKeys)  # a SafeLoader
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{where} is not valid YAML: {reason}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{where} must hold keys and values, for example 'preset: small'")
    return values


def parse(cls: type, values: ConfigValues) -> Any:
    """Builds the configuration `cls` from nested dicts, and checks that its fields fit together.

    Raises:
        ConfigError: unknown key or wrong value, in one line that names the key.
    """
    config = build(cls, values, "configuration")
    check(config)
    return config


def build(cls: type, values: ConfigValues, where: str) -> Any:
    """Builds the dataclass `cls` from nested dicts; every type is checked by jsonargparse.

    Raises:
        ConfigError: unknown key or wrong value, in one line that begins with `where` and names the key.
    """
    from jsonargparse import ArgumentError, ArgumentParser

    _check_keys(cls, values, where)
    named = {
        key: {
            str(name): build(kind, own, f"{where}: {key}.{name}")
            for name, own in values[key].items()
            if own is not None
        }
        for key, kind in _mappings(cls).items()
        if key in values
    }
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(cls, as_positional=False)
    plain = {key: value for key, value in values.items() if key not in named}
    try:
        parsed = parser.instantiate_classes(parser.parse_object(plain)).as_dict()
        return cls(**{**parsed, **named})
    except (ArgumentError, TypeError, KeyError, ValueError) as error:
        raise ConfigError(f"{where}: {' '.join(str(error).split())}") from error


def _mappings(cls: type) -> dict[str, type]:
    """The fields of `cls` that hold named sections, such as the phases, and what each of these is."""
    kinds = {key: kind for key, kind in get_type_hints(cls).items() if get_origin(kind) is dict}
    sections = {key: get_args(kind)[1] for key, kind in kinds.items()}
    return {
        key: kind
        for key, kind in sections.items()
        if isinstance(kind, type) and dataclasses.is_dataclass(kind)
    }


def _check_keys(cls: type, values: Any, where: str, path: str = "") -> None:
    """What jsonargparse lets pass: unknown empty sections, sections without keys, null where none may be."""
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: {path or 'it'} must hold keys and values")
    kinds = get_type_hints(cls)
    for key, value in values.items():
        name = f"{path}.{key}" if path else str(key)
        if new := {**RENAMED_KEYS, **RENAMED_RECIPE_KEYS}.get(name):
            raise ConfigError(f"{where}: {name} is now called {new}")
        if key not in kinds:
            raise ConfigError(f"{where}: Option '{name}' is not accepted")
        if dataclasses.is_dataclass(kinds[key]):
            _check_keys(kinds[key], value, where, name)
        elif key in _mappings(cls):
            if not isinstance(value, dict):
                raise ConfigError(f"{where}: {name} must hold names, each with keys and values")
        elif value is None and type(None) not in get_args(kinds[key]):
            raise ConfigError(f"{where}: {name} must not be null")


def to_dict(config: Any) -> ConfigValues:
    """Nested dicts of plain JSON values, the inverse of `parse`."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def to_yaml(config: Config) -> str:
    """The text of a file from which `load_config` gives this configuration again.

    Phases and stages that the preset has and the configuration has not are written as null.
    """
    values = to_dict(config)
    for name, phase in preset_values(config.preset).get("phases", {}).items():
        own = values["phases"].setdefault(name, None)
        if own is not None:
            own["stages"] = dict.fromkeys((phase or {}).get("stages", {})) | own["stages"]
    return yaml.safe_dump(values, sort_keys=False)
