"""The packaged model gives what it gave, bit for bit: pairs, a scene, a batch and an evaluation."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("make_golden.py")


def _script() -> Any:
    spec = importlib.util.spec_from_file_location("make_golden", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_packaged_model_gives_what_it_gave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # the script sets it too; kept from leaking into other tests
    script = _script()
    kept = json.loads(script.KEPT.read_text())
    here = script.machine()
    if kept["machine"] != here:
        pytest.skip(f"kept on {kept['machine']}, this is {here}: sums in bfloat16 differ between them")
    # A process of its own, so that the number of threads is set before torch loads.
    subprocess.run([sys.executable, SCRIPT, tmp_path / "now.json"], check=True)
    now = json.loads((tmp_path / "now.json").read_text())
    for part in ("pairs", "scene", "batch", "evaluation"):
        assert now[part] == kept[part], part
