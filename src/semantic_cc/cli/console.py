"""Helpers of all commands: printing, common arguments and loading a model with a status line."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from semantic_cc.checkpoint.device_map import DeviceMap
    from semantic_cc.foundation.llm import LLMType
    from semantic_cc.predictor import SemanticCC
    from semantic_cc.runtime.interface import RuntimeName
    from semantic_cc.training.parameter_count import PartCount


def positive(text: str) -> int:
    """Parses an argument that is an integer of at least 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return number


def add_data(parser: argparse.ArgumentParser, meaning: str, required: bool = True) -> None:
    """Declares ``--data``: one or more datasets, parsed as a list."""

    class Store(argparse.Action):
        def __call__(self, _: object, namespace: argparse.Namespace, given: Any, flag: object = None) -> None:
            namespace.data = given if len(given) > 1 else given[0]

    parser.add_argument("--data", metavar="DIR", nargs="+", action=Store, required=required, help=meaning)


def say(text: str = "", style: str = "") -> None:
    """Prints a line to stdout, in `style` on a terminal; does not wrap or interpret markup or emoji codes."""
    _stdout().print(text, style=style, markup=False, emoji=False, soft_wrap=True)


def show(table: Table) -> None:
    """Prints a table to stdout at its full width, even if the terminal is narrower."""
    console = _stdout()
    console.width = max(
        console.width, console.measure(table, options=console.options.update(width=200)).maximum
    )
    console.print(table)


def sizes_table(counts: Sequence[PartCount]) -> Table:
    """Parameters of each part, and how many of them each stage trains; the last row is the total."""
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table("part", box=SIMPLE)
    for column in ("parameters", *(f"trained in {stage}" for stage in counts[0].trained)):
        table.add_column(column, justify="right", no_wrap=True)
    for row in counts:
        if row is counts[-1]:
            table.add_section()
        trained = (f"{number:,}" if number else "" for number in row.trained.values())
        table.add_row(row.part, f"{row.total:,}", *trained)
    return table


@contextlib.contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """`progress_of_steps` with the single step `what`; yields a function of the completed and the total number."""
    from semantic_cc.progress import progress_of_steps

    with progress_of_steps() as advance:
        yield lambda done, total: advance(what, done, total)


@contextlib.contextmanager
def stdout_for_us() -> Iterator[None]:
    """Redirects library output from stdout to stderr."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def add_mismatch(parser: argparse.ArgumentParser) -> None:
    """Declares ``--allow-foundation-mismatch``."""
    parser.add_argument(
        "--allow-foundation-mismatch",
        action="store_true",
        help="load the model even if its foundation weights are not those it was trained on; the report notes it",
    )


def add_runtime(parser: argparse.ArgumentParser) -> None:
    """Declares ``--runtime``."""
    parser.add_argument(
        "--runtime",
        choices=("auto", "torch", "openvino"),
        default="auto",
        help="what runs the model: torch, or openvino, which is faster on a CPU (semantic-cc[openvino]) [auto]",
    )


def load_model(name: str, **options: Any) -> SemanticCC:
    """Loads the model `name`, shows the progress meanwhile, and says on stderr which runtime was chosen.

    Args:
        name: a shipped name, a folder or a Hub id.
        options: of `SemanticCC.from_pretrained`.

    Raises:
        As `SemanticCC.from_pretrained`.
    """
    from semantic_cc.predictor import SemanticCC
    from semantic_cc.processes import return_freed_memory
    from semantic_cc.progress import progress_of_steps

    with progress_of_steps() as advance:
        model = SemanticCC.from_pretrained(name, **options, progress=advance)
    if model.runtime.name == "openvino":
        return_freed_memory()
    if model.note:
        print(model.note, file=sys.stderr)
    return model


def add_asked_model(parser: argparse.ArgumentParser) -> None:
    """Declares the options of the model and its instruction."""
    parser.add_argument(
        "--model", metavar="NAME|DIR", default="small", help="a shipped model, a folder or a hub id [small]"
    )
    parser.add_argument(
        "--llm-dtype",
        choices=("float32", "bfloat16", "int8", "int4"),
        help="type of the language model's weights [its own]; int8 and int4 need semantic-cc[quantised]",
    )
    parser.add_argument(
        "--llm-device-map",
        choices=("auto",),
        help="spread the language model over all GPUs, and the CPU if needed",
    )
    add_runtime(parser)
    add_mismatch(parser)
    parser.add_argument("--instruction", metavar="TEXT", help="instruction to use instead of the model's own")


def load_asked_model(arguments: argparse.Namespace) -> SemanticCC:
    """Loads the model selected by the options of `add_asked_model`.

    Raises:
        As `SemanticCC.from_pretrained`.
    """
    return load_model(arguments.model, **model_options(arguments))


class ModelOptions(TypedDict):
    """Options of `SemanticCC.from_pretrained`; documented there."""

    runtime: RuntimeName
    allow_foundation_mismatch: bool
    llm_dtype: LLMType | None
    llm_device_map: DeviceMap | None


def model_options(arguments: argparse.Namespace) -> ModelOptions:
    """The options of `add_asked_model` that control how the model is loaded."""
    return {
        "runtime": arguments.runtime,
        "allow_foundation_mismatch": arguments.allow_foundation_mismatch,
        "llm_dtype": arguments.llm_dtype,
        "llm_device_map": arguments.llm_device_map,
    }


def change_line(
    changed: bool, change_probability: float | None, class_shares: Mapping[str, float] | None
) -> str:
    """The change flag, its probability and the class shares as one line of text."""
    parts = ["changed" if changed else "not changed"]
    if change_probability is not None:
        parts[0] += f" (change probability {change_probability:.2f})"
    if class_shares is None:
        parts.append("no mask: this model was made without the change-detection task")
    else:
        parts += [f"{name} {share:.1%} of the area" for name, share in class_shares.items()]
    return ", ".join(parts)


def _stdout() -> Console:
    from rich.console import Console

    class PipeConsole(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # handled by `main`; rich would exit the process

    return PipeConsole(highlight=False)
