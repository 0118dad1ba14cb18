from collections.abc import Callable
from pathlib import Path


def test_makes_the_same_bytes_whatever_the_workers(cli: Callable, tmp_path: Path) -> None:
    for workers in (1, 2):
        outcome = cli("synth", tmp_path / str(workers), "--pairs", 4, "--seed", 5, "--workers", workers)
        assert (outcome.code, outcome.stderr) == (0, "")
        assert "4 procedural pairs, seed 5" in outcome.stdout
    first, second = ({p.relative_to(r): p.read_bytes() for p in r.rglob("*") if p.is_file()}
                     for r in (tmp_path / "1", tmp_path / "2"))  # fmt: skip
    assert first == second
    assert Path("LevirCCcaptions.json") in first


def test_a_recipe_is_mixed(cli: Callable, tmp_path: Path) -> None:
    recipe = tmp_path / "world.yaml"
    recipe.write_text("shares: {procedural: 1}\npairs: 2\nseed: 5\n")
    outcome = cli("synth", tmp_path / "out", "--recipe", recipe, "--workers", 1)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.stdout.startswith(f"2 pairs of the recipe {recipe}, seed 5")
    assert (tmp_path / "out" / "synth.json").is_file()


def test_one_line_for_what_cannot_be_mixed(cli: Callable, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    for text, words in (
        ("shares: {procedural: 1}\n", "pairs is neither given nor in the recipe"),
        ("shares: {wolrd: 1}\n", "'shares.wolrd' is not accepted"),
        ("pairs: 3\n", "shares"),
        ("shares: {pasted: 1}\nfolders: [{images: nowhere}]\n", "no such folder"),
        (": {\n", "not valid YAML"),
    ):
        recipe.write_text(text)
        outcome = cli("synth", tmp_path / "out", "--recipe", recipe)
        assert (outcome.code, outcome.stdout) == (2, "") and words in outcome.stderr
        assert outcome.stderr.count("\n") == 1 and not (tmp_path / "out").exists()


def test_the_world_alone_needs_numbers(cli: Callable, tmp_path: Path) -> None:
    outcome = cli("synth", tmp_path / "out", "--pairs", 2)
    assert outcome.code == 2 and "--pairs and --seed are required without --recipe" in outcome.stderr
