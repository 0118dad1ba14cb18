"""Configuration fields as dotted command-line flags: parsing and help text."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from semantic_cc.config import Config, ConfigValues
from semantic_cc.errors import ConfigError


def parse_flags(flags: Sequence[str]) -> ConfigValues:
    """``["--optim.lr", "1e-4", "--train.seed=3"]`` -> nested dicts, values parsed as YAML.

    Raises:
        ConfigError: an argument is not a flag, a flag has no value, or a value is not valid YAML.
    """
    values: ConfigValues = {}
    rest = list(flags)
    while rest:
        flag = rest.pop(0)
        if not flag.startswith("--") or flag == "--":
            raise ConfigError(
                f"unexpected argument {flag!r}; give configuration fields as --name.field VALUE"
            )
        key, equals, text = flag[2:].partition("=")
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise ConfigError(f"--{key} needs a value; give it as --{key} VALUE")
            text = rest.pop(0)
        _put(values, key, _value(key, text))
    return values


def fields(cls: type = Config, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Dotted name, default and description (from the docstring) of all configuration fields; NAME = any name."""
    meanings = _meanings(cls)
    types = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        name = f"{prefix}{field.name}"
        if dataclasses.is_dataclass(types[field.name]):
            yield from fields(typing.cast(type, types[field.name]), f"{name}.")
        elif typing.get_origin(types[field.name]) is dict:
            yield from fields(typing.get_args(types[field.name])[1], f"{name}.NAME.")
        else:
            yield name, field.default, meanings[field.name]


def flags_help() -> str:
    """The list of all fields, for `train --help`."""
    lines = ["configuration fields, with the values of the paper; the preset may set others:"]
    lines += [f"  --{name} {_shown(default)}\n      {meaning}" for name, default, meaning in fields()]
    return "\n".join(lines)


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for section in sections:
        inner = values.setdefault(section, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--{key} and --{section} contradict each other; give one of them")
        values = inner
    values[last] = value


def _value(key: str, text: str) -> Any:
    try:
        return yaml.safe_load(text)  # YAML keeps 1e-4 as text; `parse` converts it by the field's type
    except yaml.YAMLError as error:
        raise ConfigError(f"--{key}: {text!r} is not a YAML value; correct or quote it") from error


def _meanings(cls: type) -> dict[str, str]:
    """Field -> its text in the ``Args:`` section of the class's docstring, joined to one line."""
    text = (cls.__doc__ or "").partition("Args:")[2]
    found = re.findall(r"^ {8}(\w+): (.*(?:\n {9,}.*)*)", text, flags=re.MULTILINE)
    return {name: " ".join(meaning.split()) for name, meaning in found}


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return "[" + ",".join(map(str, default)) + "]"
    return "null" if default is None else str(default).lower() if isinstance(default, bool) else str(default)
