"""Score sentences of any model against their references, beside baselines that use no image.

PREDICTIONS is .json, .jsonl or .csv with id and sentence; REFERENCES is LEVIR-CC's LevirCCcaptions.json, COCO's
captions, or .jsonl or .csv. docs/scoring.md explains each number, and why published ones differ. METEOR needs Java 8+.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from semantic_cc.cli.caption_tables import ROWS, add_meteor, paper_row, print_captions
from semantic_cc.cli.console import say
from semantic_cc.metrics.protocols import PROTOCOLS
from semantic_cc.types import SPLITS

NAME = "score"
HELP = "score sentences from a file: caption metrics with their baselines"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("predictions", metavar="PREDICTIONS", help="id -> sentence (.json, .jsonl, .csv)")
    parser.add_argument("references", metavar="REFERENCES", help="reference sentences (.json, .jsonl, .csv)")
    parser.add_argument(
        "--split",
        choices=SPLITS,
        default="test",
        help="split of the references, if they have splits [test]",
    )
    parser.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        default="word",
        help="what is compared: words, ids of a vocabulary, or ids of GPT-2's tokens (blank = with a space before the "
        "first word) [word]",
    )
    add_meteor(parser)
    parser.add_argument("--row", choices=ROWS, help="print a row for a paper's table and nothing else")
    parser.add_argument("--out", metavar="FILE.json", help="also write all scores to this file")


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from semantic_cc.data.prediction_files import read_predictions, read_references
    from semantic_cc.files import check_file, write_files
    from semantic_cc.metrics import caption_report

    out = None if arguments.out is None else check_file(arguments.out)
    predictions = read_predictions(arguments.predictions)
    references = read_references(arguments.references, arguments.split)
    report = caption_report(
        predictions,
        references.sentences,
        references.changed,
        protocol=arguments.protocol,
        corpus=references.corpus,
        train=references.train,
        meteor=arguments.meteor,
    )
    if out is not None:
        content = {
            "predictions": arguments.predictions,
            "references": arguments.references,
            "split": references.split,
            **report.to_json(),
        }
        write_files(out.parent, {out.name: (json.dumps(content, indent=2) + "\n").encode()})
    name = Path(arguments.predictions).stem
    if arguments.row is not None:
        say(paper_row(report, name, arguments.row))
        return
    where = "" if references.split is None else f", split {references.split}"
    say(f"{arguments.predictions} against {arguments.references}{where}, {report.all.count:,} pairs")
    print_captions(report, name)
