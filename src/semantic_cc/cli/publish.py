"""Write a trained model with its card into a folder, or put it on the Hugging Face hub.

By default what was trained alone, which needs the foundation weights it names; with --merge everything, the
adapters folded into the base weights.
"""

from __future__ import annotations

import argparse

from semantic_cc.cli.console import load_model, say, stdout_for_us
from semantic_cc.errors import InputError

NAME = "publish"
HELP = "write a model with its card, or put it on the hub"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("model", metavar="NAME|DIR", help="a shipped model, a folder or a hub id")
    parser.add_argument("--out", metavar="DIR", help="folder for the model")
    parser.add_argument("--push", metavar="OWNER/NAME", help="place on the hub (log in with 'hf auth login')")
    parser.add_argument("--private", action="store_true", help="a new place on the hub is private")
    parser.add_argument("--name", metavar="NAME", help="the model's name in the folder [the one it has]")
    parser.add_argument("--merge", action="store_true", help="self-contained, adapters merged")
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16"), default="float32", help="type of the weights [float32]"
    )


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from semantic_cc.checkpoint.hub import is_hub_id
    from semantic_cc.files import check_folder

    if arguments.out is None and arguments.push is None:
        raise InputError("where to? give --out DIR, or --push OWNER/NAME")
    if arguments.out is not None:
        check_folder(arguments.out)
    if arguments.push is not None and not is_hub_id(arguments.push):
        raise InputError(f"--push {arguments.push}: is no place on the hub; give owner/name")
    with stdout_for_us():
        model = load_model(arguments.model, merge=False)
        how = {"merge": arguments.merge, "dtype": arguments.dtype}
        folder = arguments.out and model.save_pretrained(arguments.out, name=arguments.name, **how)
        address = arguments.push and model.push_to_hub(arguments.push, private=arguments.private, **how)
    for note in model.info.notes:
        say(f"note: {note}")
    if folder:
        say(f"the model is in {folder}; its card is {folder}/README.md")
    if address:
        say(f"the model is at {address}")
