"""The finished runs that the repository keeps: what the tables ask for must still be called by their names."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from semantic_cc.reproduce.experiment_runs import _start_digest, pretrainings_of
from semantic_cc.reproduce.paper_tables import TABLES
from semantic_cc.reproduce.run_digests import run_digest
from semantic_cc.reproduce.scales import SCALES, configured

KEPT = sorted((Path(__file__).parents[2] / "runs" / "results").glob("*/*/trained.json"))


@pytest.mark.parametrize("record", KEPT, ids=lambda path: path.parent.name)
def test_a_row_of_a_table_asks_for_it(record: Path) -> None:
    """Whoever changes what scale small is has to take these away: their numbers are of another scale."""
    facts, scale = json.loads(record.read_text()), SCALES["small"]
    rows = [row for table in TABLES.values() for row in table.rows if row.here]
    names = set()
    for row in rows:
        config = configured(scale, row, ("data/table",), facts["seed"], {})
        start = _start_digest(config, facts["data"], scale.cover_epochs)
        before = asdict(pretrainings_of(scale, config))
        names.add(run_digest(config, facts["data"], encoder=start, **before))
    assert record.parent.name in names
    assert list(record.parent.glob("scores-*.json"))
