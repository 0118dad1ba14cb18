"""What the tables declare: rows that configure, budgets that are equal, numbers that are the paper's."""

import functools
import json
import re
from pathlib import Path

import pytest

from semantic_cc.config import preset_values, to_dict
from semantic_cc.reproduce.paper_tables import OURS, TABLES, PaperTable, Row
from semantic_cc.reproduce.planned_hours import rows_of
from semantic_cc.reproduce.run_digests import run_digest
from semantic_cc.reproduce.scales import MAIN, SCALES, configured, tasks_of
from semantic_cc.training.pipeline import selected

NAMED = [(name, row) for name, table in TABLES.items() for row in table.rows]
ROWS = [row for _, row in NAMED]
DOCS = Path(__file__).parents[2] / "docs" / "scoring.md"


def config_of(row: Row, scale: str = "paper", **flags: dict):
    return configured(SCALES[scale], row, ("data",), 0, flags) if flags else plain(ROWS.index(row), scale)


@functools.cache
def plain(place: int, scale: str):
    return configured(SCALES[scale], ROWS[place], ("data",), 0, {})


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_each_row_fits_its_table(table: PaperTable) -> None:
    assert table.main in table.columns
    for row in table.rows:
        assert len(row.cells) == len(table.heads) and len(row.paper) == len(table.columns)
        assert all(value is None or 0 < value < 150 for value in row.paper)


@pytest.mark.parametrize("scale", ["paper", "levir-dev", "small"])
@pytest.mark.parametrize(
    ("name", "row"), NAMED, ids=lambda value: value if isinstance(value, str) else value.cells[0]
)
def test_each_row_configures_and_its_preset_comes_back(name: str, row: Row, scale: str) -> None:
    config = config_of(row, scale)
    masks, sentences = tasks_of(config)
    assert masks if TABLES[name].kind == "masks" else sentences
    assert config.preset.split("+")[0] == SCALES[scale].preset


def test_every_declared_number_of_tables_1_and_5_is_the_one_in_the_docs() -> None:
    lines = DOCS.read_text().lower().splitlines()
    for name in ("table1", "table5"):
        for row in TABLES[name].rows:
            if None in row.paper:
                continue
            method = row.cells[0].split()[0].lower()
            found = [re.findall(r"\d+\.\d+", line) for line in lines if line.startswith(f"| {method} |")]
            numbers = [list(map(float, line[: len(row.paper)])) for line in found]
            assert list(row.paper) in numbers, method


@pytest.mark.parametrize("scale", ["small", "tiny"])
def test_rows_of_one_kind_visit_as_many_pairs(scale: str) -> None:
    """Other methods as many as the full model in all; its own rows as many with sentences, and no fewer with masks."""
    masks, sentences, others = set(), set(), set()
    full = SCALES[scale].visits
    first = config_of(OURS, scale).phases["change_detection"]
    before = first.epochs * first.stages["change"].items
    for row in ROWS:
        config = config_of(row, scale)
        main = config.phases[MAIN]
        visits = {name: main.epochs * stage.items for name, stage in main.stages.items()}
        extra = before if "change_detection" in config.phases and config.model.change_task else 0
        if config.model.method != "semantic-cc":
            others.add(sum(visits.values()))
        elif tasks_of(config)[1]:
            sentences.add(sum(visits.get(name, 0) for name in ("caption", "joint", "together")))
        if config.model.method == "semantic-cc" and tasks_of(config)[0]:
            masks.add(extra + sum(visits.get(name, 0) for name in ("change", "joint", "together")))
        assert {stage.batch for stage in main.stages.values()} == {SCALES[scale].batch}
    epochs = config_of(OURS, scale).phases[MAIN].epochs
    assert sentences == {epochs * (full[1] + full[2])}
    assert min(masks) == epochs * (full[0] + full[2]) + before
    assert others == {epochs * sum(full) + before}


def test_on_real_pairs_every_row_visits_equally_many_and_no_encoder_trains() -> None:
    for row in ROWS:
        config = config_of(row, "levir-dev")
        main = config.phases[MAIN]
        assert sum(stage.items for stage in main.stages.values()) == sum(SCALES["levir-dev"].visits)
        assert set(selected(config)) <= {"qformer", MAIN, "keyword_head"}  # nothing with masks goes before
        assert config.model.encoder.adapt == "frozen"
        filtered = config.model.encoder.bcsf or config.model.method == "ttp"
        assert main.cache_features == (not filtered)


def test_no_head_of_ours_is_in_the_papers_way() -> None:
    rows = [row for row in ROWS if any("the paper's way" in cell for cell in row.cells)]
    row = rows[0]
    assert len(rows) == 4 and all(other.overrides == row.overrides and not other.preset for other in rows)
    for scale in SCALES:
        model = config_of(row, scale).model
        assert not model.flag_head and not model.keywords and model.method == "semantic-cc"
    assert run_digest(config_of(row), "data") == run_digest(config_of(OURS), "data")  # the paper has no head


@pytest.mark.parametrize("scale", ["paper", "levir-dev", "small"])  # tiny only proves the path
def test_no_row_mixes_the_keyword_head_and_the_change_task(scale: str) -> None:
    """The head reads the mask if there is one, so rows with keywords must all have the change task."""
    with_keywords = [
        (name, config_of(row, scale)) for name, row in NAMED if config_of(row, scale).model.keywords
    ]
    assert all(config.model.change_task for _, config in with_keywords)
    assert {name for name, _ in with_keywords} == {"table1", "table5"}  # the tables of methods


def test_rows_that_tables_share_are_one_run() -> None:
    digests = {}
    for name, row in NAMED:
        config = config_of(row)
        digests.setdefault(run_digest(config, "data"), []).append(name)
    shared = sorted(names for names in digests.values() if len(names) > 1)
    assert shared == [
        # ours, and ours the paper's way, which differs below the paper's scale
        ["table1", "table1", "table2", "table2", "table4", "table4", "table5", "table5"],
        ["table1", "table5"],
        ["table2", "table3"],
    ]


def test_the_row_wins_over_flags_and_flags_over_the_scale() -> None:
    one_stage = TABLES["table4"].rows[1]
    flags = {"phases": {MAIN: {"epochs": 7}}, "optim": {"lr": 0.5}}
    config = config_of(one_stage, "small", **flags)
    assert list(config.phases[MAIN].stages) == ["together"]
    assert (config.phases[MAIN].epochs, config.optim.lr) == (7, 0.5)
    own_encoder = next(row for row in TABLES["table5"].rows if row.preset == "changeformer")
    assert (
        config_of(own_encoder, model={"encoder": {"weights": "some.safetensors"}}).model.encoder.weights
        is None
    )
    ours = config_of(OURS, "small", phases={MAIN: {"stages": {"joint": {"items": 5}}}}).phases[MAIN].stages
    own = preset_values("small")["phases"][MAIN]["stages"]["caption"]["items"]
    # given ones switch the scale's sharing off
    assert (ours["joint"].items, ours["caption"].items) == (5, own)


def test_phases_of_the_rows() -> None:
    with_words = ["change_detection", "qformer", "llm", MAIN]
    assert selected(config_of(OURS, "small")) == ["encoder", *with_words]
    assert selected(config_of(TABLES["table2"].rows[1], "small")) == ["encoder", "qformer", "llm", MAIN]
    assert selected(config_of(TABLES["table1"].rows[-2], "small"))[-1] == "keyword_head"
    assert selected(config_of(TABLES["table5"].rows[-3], "small")) == ["encoder", MAIN]  # masks only
    assert selected(config_of(TABLES["table5"].rows[-3], "levir-dev")) == [MAIN]
    assert selected(config_of(TABLES["table1"].rows[0], "small")) == ["encoder", MAIN]
    assert selected(config_of(OURS)) == [MAIN]


def test_a_run_goes_by_what_its_numbers_depend_on() -> None:
    row = TABLES["table1"].rows[-1]
    plain = run_digest(config_of(row, "tiny"), "data")
    for same in ({"hardware": {"devices": 3}}, {"train": {"checkpoint_every": 7}}, {"out": "elsewhere"}):
        assert run_digest(config_of(row, "tiny", **same), "data") == plain
    for other in ({"optim": {"lr": 0.5}}, {"train": {"precision": "bfloat16"}}):
        assert run_digest(config_of(row, "tiny", **other), "data") != plain
    assert run_digest(config_of(row, "tiny"), "other data") != plain
    assert run_digest(config_of(row, "tiny"), "data", first=1) != plain


def test_weights_count_by_their_content(tmp_path: Path) -> None:
    row, digests = TABLES["table1"].rows[-1], []
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(content)
        digests.append(run_digest(config_of(row, "tiny", model={"encoder": {"weights": str(path)}}), "data"))
    assert digests[0] == digests[1] != digests[2]


def test_the_configuration_is_plain_values() -> None:
    assert json.dumps(to_dict(config_of(ROWS[0])))


def test_figures_need_runs_of_the_tables() -> None:
    known = {run_digest(config_of(row), "data") for row in ROWS}
    for name in ("fig6", "fig7", "fig8", "fig9"):
        assert {run_digest(config_of(row), "data") for row in rows_of(name)} <= known
