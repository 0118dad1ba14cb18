"""A table's runs, scored and gathered over seeds, with all that must stand beside the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

from semantic_cc.reproduce.experiment_runs import Run, Workshop, scored, trained
from semantic_cc.reproduce.paper_tables import GUIDED, TABLES, Row, Table
from semantic_cc.reproduce.run_digests import code_digest
from semantic_cc.reproduce.scales import SCALES

BASELINES = {
    "always_same": "always 'the scene is the same as before'",
    "true_flag": "true flag, one fixed sentence",
}
"""Answers that look at no image, as `semantic_cc.metrics.report` names them -> for people."""
PARTS = ("all", "changed")


def gather(name: str, shop: Workshop, seeds: int) -> dict[str, Any]:
    """Trains and scores what is missing of a table, and gathers it.

    Args:
        name: of one of `TABLES`.
        shop: where the runs are kept.
        seeds: how many; they are 0, 1, ...

    Returns:
        A dict for JSON: ``table``, ``title``, ``kind``, ``heads``, ``columns``, ``scale``, ``seeds``, ``test``;
        ``rows``: ``cells``; ``paper``: column -> number or None; ``here``: None for a method that we have not,
        or part of the pairs -> column -> ``mean``, ``spread`` (sample standard deviation, None for one seed) and
        ``values`` by seed; ``llm``; ``runs``: by seed; ``baselines``: name -> part -> column -> number;
        ``notes``: lines.

    Raises:
        As `trained` and `scored`.
    """
    table = TABLES[name]
    shop.require_truth(table.kind)
    rows, reports, runs = [], [], []
    for row in table.rows:
        title = f"{name}, {' '.join(row.cells)}"
        own = [trained(shop, row, seed, f"{title}, seed {seed}") for seed in range(seeds) if row.here]
        said = [scored(shop, run, table.kind, f"{title}, seed {seed}") for seed, run in enumerate(own)]
        rows.append(_row(table, row, own, said))
        runs += own
        reports += said
    return {
        "table": name,
        "title": table.title,
        "kind": table.kind,
        "heads": table.heads,
        "columns": list(table.columns) + (["flag"] if table.kind == "captions" else []),
        "scale": shop.scale,
        "seeds": list(range(seeds)),
        "test": {
            "data": reports[0]["data"],
            "digest": reports[0]["data_digest"],
            "pairs": reports[0]["pairs"],
        },
        "rows": rows,
        "baselines": _baselines(table, reports[0]) if table.kind == "captions" else {},
        "notes": [*_notes(table, shop, runs, reports), *_order(table, rows), *_lead(table, rows)],
    }


def _row(table: Table, row: Row, runs: Sequence[Run], reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "cells": list(row.cells),
        "paper": dict(zip(table.columns, row.paper, strict=True)),
        "here": None,
    }
    if not runs:
        return result
    model = runs[0].config.model
    result["llm"] = model.llm.name if table.kind == "captions" and model.has_llm else None
    parts = PARTS if table.kind == "captions" else ("all",)
    result["here"] = {part: _spread([_scores(table, report, part) for report in reports]) for part in parts}
    result["runs"] = [
        {
            "run": run.folder.name, "model": report["model"]["digest"], "code": run.facts["code"],
            "device": run.facts["device"], "pairs_visited": run.facts["pairs"],
        }
        for run, report in zip(runs, reports, strict=True)
    ]  # fmt: skip
    return result


def _scores(table: Table, report: dict[str, Any], part: str) -> dict[str, float | None]:
    """Column -> score of one evaluation; empty where a part has no pairs."""
    if table.kind == "masks":
        return {column: report["change"]["building"][score] for column, score in table.columns.items()}
    scores = report["captions"][part]
    if not scores["count"]:
        return {}
    return _captions(table, scores)


def _captions(table: Table, scores: dict[str, Any]) -> dict[str, float | None]:
    return {column: scores[score] for column, score in table.columns.items()} | {
        "flag": scores["flag_accuracy"]
    }


def _spread(by_seed: Sequence[dict[str, float | None]]) -> dict[str, dict[str, Any]]:
    result = {}
    for column in by_seed[0]:
        values = [value for scores in by_seed if (value := scores[column]) is not None]
        result[column] = {
            "mean": mean(values) if values else None,
            "spread": stdev(values) if len(values) > 1 else None,
            "values": values,
        }
    return result


def _baselines(table: Table, report: dict[str, Any]) -> dict[str, Any]:
    lines = {name: report["captions"]["baselines"][name] for name in BASELINES}
    return {
        name: {part: _captions(table, line[part]) for part in PARTS if line[part]["count"]}
        for name, line in lines.items()
        if line is not None
    }


def _notes(table: Table, shop: Workshop, runs: Sequence[Run], reports: Sequence[dict[str, Any]]) -> list[str]:
    seeds = sorted({run.facts["seed"] for run in runs})
    pairs = sorted({run.facts["pairs"] for run in runs})
    codes = {run.facts["code"] for run in runs} | {code_digest()}
    first = reports[0]
    notes = [
        f"scale {shop.scale}: {SCALES[shop.scale].told}",
        f"paper: {table.where}, as printed, times 100; here: {_of_seeds(seeds)}; the model after the last epoch, which "
        "no split chose",
        f"scored on {first['pairs']:,} test pairs of {first['data']} (sha256 {first['data_digest'][:12]}), images "
        f"{first['tiles']}",
        *(_about_sentences(runs, reports) if table.kind == "captions" else [_ABOUT_MASKS]),
        f"pairs visited in training, all stages: {' to '.join(f'{n:,}' for n in (pairs[0], pairs[-1])[: len(pairs)])}",
        f"trained on {', '.join(sorted({run.facts['device'] for run in runs}))}",
    ]
    if shop.flags:
        notes.append(f"beside the scale's values, for every row: {shop.flags}")
    if len(codes) > 1:
        notes.append("some runs were made by another state of this version's code than the present one")
    return notes + list(dict.fromkeys(note for report in reports for note in report["notes"]))


_ABOUT_MASKS = (
    "one confusion matrix over all pixels of the split, class building, at probability 0.5; the paper's rows were not "
    "all made so (docs/mask-scores.md, docs/scoring.md)"
)


def _of_seeds(seeds: Sequence[int]) -> str:
    if len(seeds) == 1:
        return f"seed {seeds[0]} alone, so no spread"
    return f"mean ± sample standard deviation of seeds {', '.join(map(str, seeds))}"


def _about_sentences(runs: Sequence[Run], reports: Sequence[dict[str, Any]]) -> list[str]:
    captions = reports[0]["captions"]
    decodings = sorted(
        {f"{run.config.model.method} {report['decoding']}" for run, report in zip(runs, reports, strict=True)}
    )
    models = [run.config.model for run in runs]
    with_llm = sorted({f"{model.method} ({model.llm.name})" for model in models if model.has_llm})
    without = sorted({model.method for model in models if not model.has_llm})
    words = f"; words learned from the training sentences alone: {', '.join(without)}" if without else ""
    lines = [
        f"here: protocol '{captions['protocol']}' ({captions['protocol_note']}), percent, CIDEr is CIDEr-D; the paper "
        "names no protocol, and its rows are not on one scale (docs/scoring.md)",
        f"true flags: {captions['flag_truth']}; changed pairs are scored as a set of their own",
        f"decoding: {', '.join(decodings)}",
        f"with a language model: {', '.join(with_llm)}{words}",
    ]
    if captions["meteor"] != "run":
        lines.append(f"METEOR {captions['meteor']}")
    return lines


def _order(table: Table, rows: Sequence[dict[str, Any]]) -> list[str]:
    """A line where the rows come in another order than the paper's, by the table's main column."""
    both = {
        _name(table, row, number): (row["paper"][table.main], row["here"]["all"][table.main]["mean"])
        for number, row in enumerate(rows, 1)
        if row["here"] and row["paper"][table.main] is not None
    }
    theirs = sorted(both, key=lambda name: both[name][0], reverse=True)
    ours = sorted(both, key=lambda name: both[name][1], reverse=True)
    if theirs == ours:
        return [f"order of the rows by {table.main}: as in the paper"]
    return [
        f"order of the rows by {table.main}, best first: {'; '.join(ours)}. In the paper: {'; '.join(theirs)}"
    ]


def _name(table: Table, row: dict[str, Any], number: int) -> str:
    return " ".join(row["cells"]) if len(table.heads) == 1 else f"row {number}"


def _lead(table: Table, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Where methods are compared: whether `GUIDED` and the last row are ahead of the best other with every seed."""
    part, what = ("changed", "CIDEr of changed pairs") if table.kind == "captions" else ("all", table.main)
    known = {row["cells"][0]: row["here"][part].get(table.main) for row in rows if row["here"]}
    others = {name: score for name, score in known.items() if score and not name.startswith("Semantic-CC")}
    mine = {name: score for name in (*GUIDED, rows[-1]["cells"][0]) if (score := known.get(name))}
    if table.heads != ("method",) or not others:
        return []
    best = max(others, key=lambda name: others[name]["mean"])
    return [
        f"{what}, {name} {own['mean']:.1f} and {best} {others[best]['mean']:.1f}: {_apart(own, others[best])}"
        for name, own in mine.items()
    ]


def _apart(one: dict[str, Any], other: dict[str, Any]) -> str:
    """Three seeds bear no test: one is ahead where its worst run is better than the other's best."""
    if min(one["values"]) > max(other["values"]):
        return "ahead with every seed"
    return "behind with every seed" if max(one["values"]) < min(other["values"]) else "not apart"
