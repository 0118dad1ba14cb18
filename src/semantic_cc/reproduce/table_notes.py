"""The notes below a table: conditions of its numbers, the order of its rows, and the comparison of methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import ceil

from semantic_cc.reproduce.experiment_runs import FinishedRun, ReproductionSetup
from semantic_cc.reproduce.kept_evaluation import KeptEvaluation
from semantic_cc.reproduce.paper_tables import KEYWORD_HEAD, PaperTable
from semantic_cc.reproduce.run_digests import code_digest
from semantic_cc.reproduce.scales import SCALES
from semantic_cc.reproduce.scene_masks import STEP, WINDOW
from semantic_cc.reproduce.table_types import PairSet, RowResult, SeedScores

_UNDECIDED = "neither ahead with every seed"
_MOST_SEEDS = 1000
"""More seeds than this are not counted."""
_MASK_PROTOCOL = (
    "building class, one confusion matrix over all pixels of the split, threshold 0.5; not all of the paper's rows "
    "are computed this way (docs/mask-scores.md, docs/scoring.md)"
)


def run_notes(
    table: PaperTable,
    setup: ReproductionSetup,
    runs: Sequence[FinishedRun],
    evaluations: Sequence[KeptEvaluation],
) -> list[str]:
    """The conditions of the runs and of their evaluations."""
    seeds = sorted({run.facts["seed"] for run in runs})
    pairs = sorted({run.facts["pairs"] for run in runs})
    codes = {run.facts["code"] for run in runs} | {code_digest()}
    first = evaluations[0]
    notes = [
        f"scale {setup.scale}: {SCALES[setup.scale].description}",
        f"paper: {table.where}, as printed, times 100; here: {_seeds(seeds)}; the model after the last epoch, not one "
        "chosen on a split",
        f"scored on {first.pairs:,} test pairs of {' '.join(setup.scored_data(table.kind))} (sha256 "
        f"{first.data_digest[:12]}), images {first.image_sizes}",
        *(_caption_notes(runs, evaluations) if table.kind == "captions" else [_MASK_PROTOCOL]),
        f"pairs visited in training, all stages: {' to '.join(f'{n:,}' for n in (pairs[0], pairs[-1])[: len(pairs)])}",
        f"trained on {', '.join(sorted({run.facts['device'] for run in runs}))}",
    ]
    if table.kind == "masks" and setup.scenes:
        notes.append(
            f"whole scenes: test split of {' '.join(setup.scenes)}, windows of {WINDOW} px at steps of {STEP} px, mean "
            "probability of the windows, threshold 0.5, one confusion matrix over all pixels"
        )
    notes += _before_strategies(table, runs)
    if setup.flags:
        notes.append(f"configuration values for every row, besides the scale's: {setup.flags}")
    if len(codes) > 1:
        notes.append("the runs do not all come from the present state of this version's code")
    return notes + list(dict.fromkeys(note for evaluation in evaluations for note in evaluation.notes))


def _before_strategies(table: PaperTable, runs: Sequence[FinishedRun]) -> list[str]:
    """A note below a table of strategies whose rows do not start from the same untrained parts as the paper's."""
    before = [run.config.phases.get("change_detection") for run in runs]
    visits = {phase.epochs * (phase.stages["change"].items or 0) for phase in before if phase is not None}
    if table.heads != ("strategy",) or not visits:
        return []
    return [
        f"before its own stages, every row visits {max(visits)} pairs in stage i; the table compares what follows, not "
        "strategies from the start"
    ]


def _seeds(seeds: Sequence[int]) -> str:
    if len(seeds) == 1:
        return f"seed {seeds[0]} only, so no spread"
    return f"mean ± sample standard deviation of seeds {', '.join(map(str, seeds))}"


def _caption_notes(runs: Sequence[FinishedRun], evaluations: Sequence[KeptEvaluation]) -> list[str]:
    captions = evaluations[0].captions
    assert captions is not None  # all rows of a caption table predict sentences
    decodings = sorted(
        {f"{run.config.model.method} {own.decoding}" for run, own in zip(runs, evaluations, strict=True)}
    )
    models = [run.config.model for run in runs]
    with_llm = sorted({f"{model.method} ({model.llm.name})" for model in models if model.has_llm})
    without = sorted({model.method for model in models if not model.has_llm})
    other = f"; without one, vocabulary from the training sentences: {', '.join(without)}" if without else ""
    notes = [
        f"here: protocol '{captions.protocol}' ({captions.protocol_note}), percent, CIDEr is CIDEr-D; the paper "
        "names no protocol, and its rows use different ones (docs/scoring.md)",
        f"true flags: {captions.flag_truth}; changed pairs are also scored as a separate set",
        f"decoding: {', '.join(decodings)}",
        f"with a language model: {', '.join(with_llm)}{other}",
    ]
    if captions.meteor != "run":
        notes.append(f"METEOR {captions.meteor}")
    return notes


def row_order(table: PaperTable, rows: Sequence[RowResult]) -> list[str]:
    """A line that compares the order of the rows with the paper's, by the table's main column."""
    paper, ours = {}, {}
    for name, row in _names(table, rows).items():
        printed, score = row.paper[table.main], _score(row, "all", table.main)
        if printed is not None and score is not None and score.mean is not None:
            paper[name], ours[name] = printed, score.mean
    in_paper = sorted(paper, key=lambda name: paper[name], reverse=True)
    here = sorted(ours, key=lambda name: ours[name], reverse=True)
    if in_paper == here:
        return [f"order of the rows by {table.main}: as in the paper"]
    return [f"order of the rows by {table.main}, best first: {'; '.join(here)}. Paper: {'; '.join(in_paper)}"]


def undecided(table: PaperTable, rows: Sequence[RowResult], visits: int) -> list[str]:
    """One line that names the pairs of rows whose order the seeds leave open, and what would decide it.

    Two rows are told apart if one is ahead with every seed, by the main column over all pairs. Otherwise the number of
    seeds n per row is estimated for a two-sided test at 5 % that finds the measured difference d with a power of 80 %:
    n = 2 (1.96 + 0.84)^2 s^2 / d^2, where s^2 is the mean of the two rows' variances over seeds.

    Args:
        table: the table.
        rows: its rows with their scores.
        visits: pairs that a run of the table visits at most.
    """
    scores = {
        name: score
        for name, row in _names(table, rows).items()
        if (score := _score(row, "all", table.main)) is not None and score.values
    }
    if any(len(score.values) < 2 for score in scores.values()):
        return [
            f"one seed has no spread, so it orders no two rows by {table.main}; two seeds or more show a spread"
        ]
    pairs = [
        f"{one} and {other} ({_needed(scores[one], scores[other], visits)})"
        for one, other in combinations(scores, 2)
        if _ranking(scores[one], scores[other]) == _UNDECIDED
    ]
    if not pairs:
        return [f"by {table.main}, one row of every two is ahead with every seed"]
    return [
        f"by {table.main}, the seeds do not tell apart: {'; '.join(pairs)}. Seeds n for each row: "
        "n = 2 (1.96 + 0.84)^2 s^2 / d^2 (two-sided test at 5 %, power 80 %; d difference of the means, s^2 mean of "
        "the two rows' variances)"
    ]


def comparison(table: PaperTable, rows: Sequence[RowResult]) -> list[str]:
    """For a table of methods: one line per main row of Semantic-CC, compared with the best other method."""
    pairs: PairSet = "changed" if table.kind == "captions" else "all"
    what = "CIDEr of changed pairs" if table.kind == "captions" else table.main
    scores = {
        row.cells[0]: score for row in rows if (score := _score(row, pairs, table.main)) and score.values
    }
    others = {name: score for name, score in scores.items() if not name.startswith("Semantic-CC")}
    own = {name: scores[name] for name in (*KEYWORD_HEAD, rows[-1].cells[0]) if name in scores}
    if table.heads != ("method",) or not others:
        return []
    best = max(others, key=lambda name: others[name].mean or 0.0)
    return [
        f"{what}: {name} {score.mean:.1f}, {best} {others[best].mean:.1f}, {_ranking(score, others[best])}"
        for name, score in own.items()
    ]


def below_floors(
    table: PaperTable,
    rows: Sequence[RowResult],
    floors: Mapping[str, Mapping[PairSet, Mapping[str, float | None]]],
) -> list[str]:
    """For a table of methods: one line per floor, with the rows that it is not beaten by.

    A row beats a floor if its mean is higher in the table's main column, over all pairs and over the changed ones.
    """
    if table.heads != ("method",):
        return []
    lines = []
    for floor, columns in floors.items():
        behind = [row.cells[0] for row in rows if row.scores and not _beats(table, row, columns)]
        verdict = f"not beaten by {', '.join(behind)}" if behind else "beaten by every row"
        lines.append(f"floor '{floor}', {table.main} of all and of changed pairs: {verdict}")
    return lines


def _beats(table: PaperTable, row: RowResult, floor: Mapping[PairSet, Mapping[str, float | None]]) -> bool:
    for pairs, columns in floor.items():
        score, other = _score(row, pairs, table.main), columns.get(table.main)
        if score is None or score.mean is None or (other is not None and score.mean <= other):
            return False
    return True


def _score(row: RowResult, pairs: PairSet, column: str) -> SeedScores | None:
    return (row.scores or {}).get(pairs, {}).get(column)


def _names(table: PaperTable, rows: Sequence[RowResult]) -> dict[str, RowResult]:
    """Name -> row: the cell of a table with one head, else the number among the rows that the paper prints."""
    names, number = {}, 0
    for row in rows:
        number += row.paper[table.main] is not None
        printed = f"row {number}" if row.paper[table.main] is not None else f"row '{row.cells[-1]}'"
        names[" ".join(row.cells) if len(table.heads) == 1 else printed] = row
    return names


def _needed(one: SeedScores, other: SeedScores, visits: int) -> str:
    """The estimated seeds and visits of each row that tell two rows apart, see `undecided`."""
    assert one.mean is not None and other.mean is not None  # the rows have scores
    difference = abs(one.mean - other.mean)
    variance = ((one.spread or 0.0) ** 2 + (other.spread or 0.0) ** 2) / 2
    if difference == 0:
        return "difference 0.0"
    needed = max(ceil(2 * (1.96 + 0.84) ** 2 * variance / difference**2), len(one.values) + 1)
    if needed > _MOST_SEEDS:
        return f"difference {difference:.1f}: more than {_MOST_SEEDS:,} seeds"
    return f"difference {difference:.1f}: {needed:,} seeds, {needed * visits:,} visits"


def _ranking(one: SeedScores, other: SeedScores) -> str:
    """There are too few seeds for a test: a method is ahead if its worst seed beats the other's best."""
    if min(one.values) > max(other.values):
        return "ahead with every seed"
    return "behind with every seed" if max(one.values) < min(other.values) else _UNDECIDED
