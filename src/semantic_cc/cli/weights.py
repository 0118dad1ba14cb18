"""Import foundation weights (SAM, BLIP-2's Q-Former, MiniGPT-4's projection, the language model), and export models.

Official files are converted once into the cache ($SEMANTIC_CC_CACHE, else the user's cache folder), under short names
for configurations; `list` shows the names and which of them are in the cache.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from semantic_cc.cli.console import load_model, say, show, sizes_table, stdout_for_us
from semantic_cc.errors import InputError

if TYPE_CHECKING:
    from semantic_cc.foundation.convert import Converted

NAME = "weights"
HELP = "convert, verify, list and fetch foundation weights; publish a model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    actions = parser.add_subparsers(metavar="WHAT", required=True)

    convert = actions.add_parser("convert", help="convert official files into the cache", allow_abbrev=False)
    convert.add_argument(
        "source", metavar="SOURCE",
        help="a .pth or .safetensors file, a folder in the Hugging Face layout, a GGUF file, an LLM's hub id",
    )  # fmt: skip
    convert.add_argument("--name", metavar="NAME", help="name in the cache [derived from the sizes]")
    convert.add_argument("--out", metavar="FILE.safetensors", type=Path, help="write this file instead")
    convert.set_defaults(action=_convert)

    verify = actions.add_parser(
        "verify",
        help="check digests, and compare the outputs of the original and of our code",
        allow_abbrev=False,
    )
    verify.add_argument("weights", metavar="NAME|FILE", help="converted weights")
    verify.add_argument(
        "--source", metavar="PATH", type=Path, help="the original that they were converted from"
    )
    verify.set_defaults(action=_verify)

    listing = actions.add_parser(
        "list", help="list known names, or the sizes of a preset", allow_abbrev=False
    )
    listing.add_argument(
        "--preset", metavar="NAME", help="parameters of this preset, part by part, and what each stage trains"
    )
    listing.set_defaults(action=_list)

    fetch = actions.add_parser(
        "fetch", help="download from the Hugging Face hub and convert", allow_abbrev=False
    )
    fetch.add_argument("name", metavar="NAME", help="sam-vit-large, blip2, vicuna-7b, smollm2-135m, ...")
    fetch.add_argument("--offline", action="store_true", help="use only the hub's cache on this machine")
    fetch.set_defaults(action=_fetch)

    publish = actions.add_parser(
        "publish",
        help="write a trained model with its card to a folder, or upload it to the Hugging Face hub",
        description="By default this writes only the trained weights; loading them needs the foundation weights that "
        "the model names. With --merge it writes everything, with the adapters merged into the base weights.",
        allow_abbrev=False,
    )
    publish.add_argument("model", metavar="NAME|DIR", help="a shipped model, a folder or a hub id")
    publish.add_argument("--out", metavar="DIR", help="folder for the model")
    publish.add_argument(
        "--push", metavar="OWNER/NAME", help="repository on the hub (log in with 'hf auth login')"
    )
    publish.add_argument("--private", action="store_true", help="make a new repository on the hub private")
    publish.add_argument("--name", metavar="NAME", help="the model's name in the folder [its present name]")
    publish.add_argument("--merge", action="store_true", help="self-contained model, adapters merged")
    publish.add_argument(
        "--dtype", choices=("float32", "bfloat16"), default="float32", help="type of the weights [float32]"
    )
    publish.set_defaults(action=_publish)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    arguments.action(arguments)


def _convert(arguments: argparse.Namespace) -> None:
    with stdout_for_us():
        from semantic_cc.foundation.convert import convert

        done = convert(arguments.source, arguments.name, arguments.out)
    _report(done)


def _report(done: Converted) -> None:
    from semantic_cc.foundation.convert import FIELDS

    say(f"{done.path}: the {done.part}'s weights; use them as {FIELDS[done.part]} {done.value}")
    if done.sizes:
        say("sizes: " + ", ".join(f"{key} {value}" for key, value in done.sizes.items()))
        say(f"{done.loaded} tensors converted")
    for why, number in done.dropped.items():
        say(f"{number} left out: {why}")
    say(f"sha256 of the source {done.sha256}" + ("" if done.is_official else ", not a known official file"))


def _verify(arguments: argparse.Namespace) -> None:
    from semantic_cc.foundation.verify import verify

    for line in verify(arguments.weights, arguments.source):
        say(line)


def _list(arguments: argparse.Namespace) -> None:
    if arguments.preset is not None:
        _list_sizes(arguments.preset)
        return
    from semantic_cc.foundation.catalogue import FOUNDATIONS, cache_folder
    from semantic_cc.foundation.convert import FIELDS
    from semantic_cc.foundation.llm_files import is_cached

    for name, known in FOUNDATIONS.items():
        there = is_cached(name) or (cache_folder() / f"{name}.safetensors").is_file()
        say(f"{name}  ({FIELDS[known.part]})  {'in the cache' if there else 'not in the cache'}")
        say(f"    licence: {known.licence}")
        if not there:
            say(f"    get {known.original}" + (f", or fetch it from {known.hub}" if known.hub else ""))


def _list_sizes(preset: str) -> None:
    from semantic_cc.checkpoint.meta_model import outline
    from semantic_cc.config import load_config
    from semantic_cc.training.parameter_count import count
    from semantic_cc.training.stages import stages_of

    config = load_config(preset)
    stages = {
        stage.name: stage
        for phase in config.phases.values()
        for stage in stages_of(phase.stages, config.model)
    }
    show(sizes_table(count(outline(config.model), tuple(stages.values()))))


def _fetch(arguments: argparse.Namespace) -> None:
    if sys.stderr.isatty():  # show the Hub's progress bars, which other commands hide
        os.environ.pop("HF_HUB_DISABLE_PROGRESS_BARS", None)
        os.environ.pop("TQDM_DISABLE", None)
    from semantic_cc.foundation.convert import convert
    from semantic_cc.foundation.download import fetch, fetchable

    name, known = fetchable(arguments.name)
    say(f"{name} comes from {known.hub}; licence: {known.licence}")
    with stdout_for_us():
        folder = fetch(name, offline=arguments.offline)
        done = convert(str(folder), name)
    _report(done)


def _publish(arguments: argparse.Namespace) -> None:
    from semantic_cc.checkpoint.hub import is_hub_id
    from semantic_cc.files import check_folder

    if arguments.out is None and arguments.push is None:
        raise InputError("weights publish needs a destination: give --out DIR, or --push OWNER/NAME")
    if arguments.out is not None:
        check_folder(arguments.out)
    if arguments.push is not None and not is_hub_id(arguments.push):
        raise InputError(f"--push {arguments.push}: is not a repository on the hub; give owner/name")
    with stdout_for_us():
        model = load_model(arguments.model, runtime="torch", merge=False)
        how = {"merge": arguments.merge, "dtype": arguments.dtype}
        folder = arguments.out and model.save_pretrained(arguments.out, name=arguments.name, **how)
        address = arguments.push and model.push_to_hub(arguments.push, private=arguments.private, **how)
    for note in model.info.notes:
        say(f"note: {note}")
    if folder:
        say(f"the model is in {folder}; its card is {folder}/README.md")
    if address:
        say(f"the model is at {address}")
