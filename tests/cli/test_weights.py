"""The commands around foundation weights, end to end."""

from collections.abc import Callable
from pathlib import Path

import foundations as files
import pytest

from semantic_cc.foundation import download as fetch_module


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("SEMANTIC_CC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_convert_verify_list(cli: Callable, cache: Path, tmp_path: Path) -> None:
    source = files.save_pickle(files.minigpt4(), tmp_path / "minigpt4.pth")
    outcome = cli("weights", "convert", source, "--name", "minigpt4-7b")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert "use them as model.enhancer.weights minigpt4-7b" in outcome.stdout
    assert "sizes: width 32, llm_width 32" in outcome.stdout
    assert "3 left out: a constant that the code computes" in outcome.stdout
    outcome = cli("weights", "verify", "minigpt4-7b", "--source", source)
    assert outcome.code == 0 and "the original and our code give the same output" in outcome.stdout
    outcome = cli("weights", "list")
    assert "minigpt4-7b  (model.enhancer.weights)  in the cache" in outcome.stdout
    assert "vicuna-7b  (model.llm.name)  not in the cache" in outcome.stdout
    assert "get sam_vit_l_0b3195.pth" in outcome.stdout


def test_a_refusal_is_one_line(cli: Callable, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "sam.pth").write_bytes(b"no weights")
    for argv, code, words in [
        (["convert", tmp_path / "sam.pth"], 2, "cannot read"),
        (["convert", tmp_path / "gone.pth"], 2, "no such file"),
        (["verify", "blip2"], 1, "weights fetch blip2"),
        (["list", "--preset", "paprika"], 2, "unknown preset"),
        (["fetch", "sam"], 2, "choose one of"),
    ]:
        outcome = cli("weights", *argv)
        assert (outcome.code, outcome.stdout) == (code, "")
        assert outcome.stderr.count("\n") == 1 and words in outcome.stderr
    assert not cache.exists()


def test_the_licence_stands_before_the_download(
    cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.hf_sam(4).save_pretrained(tmp_path / "hub")
    monkeypatch.setattr(fetch_module, "fetch", lambda name, offline: tmp_path / "hub")
    outcome = cli("weights", "fetch", "sam-vit-large")
    assert outcome.code == 0
    assert outcome.stdout.splitlines()[0] == (
        "sam-vit-large comes from facebook/sam-vit-large; licence: Apache-2.0"
    )


def rows(text: str) -> dict[str, list[str]]:
    """Part -> its numbers, from the printed table."""
    lines = [line.strip().replace(",", "") for line in text.splitlines()]
    cells = [line.rsplit("  ", line.count("  ")) for line in lines]
    return {line[0].strip(): [cell.strip() for cell in line[1:] if cell.strip()] for line in cells}


def test_the_sizes_of_the_paper_s_model(cli: Callable) -> None:
    """Published: SAM ViT-L, BLIP-2's Q-Former, Vicuna-7B; the rest from the shapes of the method."""
    outcome = cli("weights", "list", "--preset", "paper")
    assert outcome.code == 0
    table = rows(outcome.stdout)
    lora = 16 * (1024 + 3 * 1024) * 24
    assert table["LoRA of the image encoder"] == [str(lora)] * 2
    assert table["language model"] == ["6738415616"]
    assert table["LoRA of the language model"] == [str(32 * 3 * 16 * (4096 + 4096))] * 2
    assert table["Q-Former"] == ["105137664"]
    assert table["queries"] == [str(32 * 768)]
    assert table["enhancer"] == [str(2 * (2 * 768 + 1) + 3 * 768 * 4096 + 4096)] * 2
    assert table["Linear c -> Q-Former"] == [str(1024 * 1408 + 1408)] * 2
    assert len(table["neck"]) == 4  # all three stages
    assert len(table["all"]) == 4
