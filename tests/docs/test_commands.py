"""Every command, flag and configuration key that the documentation names exists."""

import argparse
import re
from collections.abc import Iterator

import pytest
from doc_blocks import CURRENT_PAGES, ROOT, blocks_of, command_lines, inline_code

from semantic_cc.cli.config_flags import fields, parse_flags
from semantic_cc.cli.main import _parser
from semantic_cc.config import load_config
from semantic_cc.errors import ConfigError, InputError

FOREIGN_FLAGS = {
    "--no-deps",
    "--strict",
    "--version",
    "--help",
    "--nproc-per-node",
    "--ntasks-per-node",
    "--nodes",
}
"""Flags of pip, MkDocs, torchrun and srun, and those that every command has."""

KEYS = {name for name, _, _ in fields()}
SECTIONS = {name.rsplit(".", depth)[0] for name in KEYS for depth in (1, 2, 3)}


def is_key(name: str) -> bool:
    """Whether a configuration has this field; phases and their stages may have any name."""
    general = re.sub(r"^phases\.\w+", "phases.NAME", re.sub(r"\bstages\.\w+", "stages.NAME", name))
    return general in KEYS | {"phases.NAME", "phases.NAME.stages", "phases.NAME.stages.NAME"}


pages = pytest.mark.parametrize("page", CURRENT_PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """A parser and those of its subcommands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from parsers(child)


PARSER = _parser()
FLAGS = {flag for parser in parsers(PARSER) for action in parser._actions for flag in action.option_strings}


def takes_config(words: list[str]) -> bool:
    return bool(words) and words[0] in ("train", "reproduce")


def check_call(words: list[str]) -> None:
    """Parses a whole call as `main` does; nothing runs. One cut short (...) or with [choices] is looked through."""
    if any(word == "..." or word.startswith("[") for word in words):
        check_mention(words)
        return
    words = [re.sub(r"\$\w+|^[A-Z]$", "1", word) for word in words]  # shell variables, and the N of --pairs N
    try:
        _, rest = PARSER.parse_known_args(words)
    except SystemExit as ended:  # --help and --version
        if ended.code != 0:
            raise
        return
    assert not rest or takes_config(words), f"unknown arguments {rest}"
    config = next((words[i + 1] for i, word in enumerate(words[:-1]) if word == "--config"), "paper")
    if takes_config(words):
        load_config("paper" if config.endswith(".yaml") else config, parse_flags(rest))


def check_mention(words: list[str]) -> None:
    """Checks the subcommands and flags of a call that may leave out arguments."""
    parser = PARSER
    for word in words:
        choices = next(
            (a.choices for a in parser._actions if isinstance(a, argparse._SubParsersAction)), None
        )
        if choices is None or word.startswith("-"):
            break
        assert all(name in choices for name in word.split("|")), f"unknown command {word!r}"
        parser = choices[word.split("|")[0]]
    own = {flag for action in parser._actions for flag in action.option_strings}
    for word in words:
        flag = re.match(r"\[?(--[a-z][\w.-]*)", word)
        if flag:
            assert flag[1] in own or (takes_config(words) and is_key(flag[1][2:])), f"unknown flag {flag[1]}"


@pages
def test_command_lines_in_bash_blocks_parse(page) -> None:
    for block in blocks_of(page):
        if block.language in ("bash", "sh", "shell"):
            for words in [] if block.left_out else command_lines(block.text):
                try:
                    check_call(words)
                except (InputError, ConfigError, AssertionError) as fault:
                    pytest.fail(f"{block.place}: semantic-cc {' '.join(words)}: {fault}")


@pytest.mark.parametrize("script", sorted((ROOT / "runs").glob("*.sh")), ids=lambda script: script.name)
def test_command_lines_in_run_scripts_parse(script) -> None:
    shell = re.sub(r"\$\{[^}]*\}", "1", script.read_text())  # values with a default, such as ${DEVICES:-1}
    text = shell.replace('--format "1"', "--format text")
    tables = [*(f"table{number}" for number in range(1, 6)), "fig6", "fig-data"]
    for name in tables if 'reproduce "$1"' in text else [""]:
        calls = list(command_lines(text.replace('reproduce "$1"', f"reproduce {name}")))
        assert calls
        for words in calls:
            check_call(words)


@pages
def test_command_lines_in_other_blocks_and_in_text_name_what_exists(page) -> None:
    shown = [
        (block.place, line.removeprefix("$ "))
        for block in blocks_of(page)
        if block.language not in ("bash", "sh", "shell", "python", "diff", "yaml")
        for line in block.text.splitlines()
        if line.removeprefix("$ ").startswith("semantic-cc ")
    ]
    told = [(f"{page.name}:{n}", code) for n, code in inline_code(page) if code.startswith("semantic-cc ")]
    for place, line in shown + told:
        for words in command_lines(re.sub(r"(?<=\w)\|(?=\w)", "/", line)):
            try:
                check_mention([word.replace("/", "|") if i < 2 else word for i, word in enumerate(words)])
            except AssertionError as fault:
                pytest.fail(f"{place}: {line}: {fault}")


@pages
def test_flags_and_configuration_keys_in_text_exist(page) -> None:
    for number, code in inline_code(page):
        flag = re.match(r"(--[a-z][\w.-]*)", code)
        if flag and flag[1] not in FOREIGN_FLAGS:
            assert flag[1] in FLAGS or is_key(flag[1][2:]), f"{page.name}:{number}: no flag {flag[1]}"
        key = re.match(r"((?:model|train|optim|hardware)\.[a-z_][\w.]*)(?: \S+)?$", code)
        if key and not key[1].endswith((".py", ".safetensors")):
            assert key[1] in KEYS | SECTIONS, f"{page.name}:{number}: no configuration key {key[1]}"


def test_the_readers_of_commands_see_what_they_must() -> None:
    script = "for s in 2 3; do semantic-cc synth a$s --pairs 3; done  # all\ncat > x <<'END'\nsemantic-cc no\nEND\n"
    assert list(command_lines(script)) == [["synth", "a$s", "--pairs", "3"]]
    assert list(command_lines("torchrun -m semantic_cc train \\\n --out x && semantic-cc demo | cat")) == [
        ["train", "--out", "x"],
        ["demo"],
    ]
    with pytest.raises(AssertionError, match="unknown command"):
        check_mention(["data", "polish"])
    with pytest.raises(AssertionError, match="unknown flag"):
        check_mention(["describe", "--polish"])
    with pytest.raises(InputError):
        check_call(["describe", "a.png"])
    with pytest.raises((ConfigError, AssertionError)):
        check_call(["train", "--config", "small", "--train.polish", "1"])
