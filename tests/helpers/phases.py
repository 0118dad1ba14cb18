"""Overrides that leave the preset tiny with one phase, and where that phase leaves its files."""

from pathlib import Path
from typing import Any

from semantic_cc.training.state import PhaseFolder, RunFolder

TINY = (
    "encoder", "change_detection", "qformer", "llm", "multitask", "mask_decoder", "keyword_head", "calibration",
)  # fmt: skip
"""The phases of the preset tiny."""
OTHERS = tuple(name for name in TINY if name != "multitask")
ALL = ("change", "caption", "joint")


def multitask(*, only: tuple[str, ...] = ALL, items: int | None = None, **fields: Any) -> dict[str, Any]:
    """Overrides: no phase except multitask, with some of its stages, so many items of each, and these fields."""
    fields.setdefault("val_metric", None)
    own: dict[str, Any] = {name: None for name in ALL if name not in only}
    for name in only:
        own[name] = {} if items is None else {"items": items}
        if name not in ALL:
            own[name]["batch"] = 2
    for name, value in fields.pop("stages", {}).items():
        own[name] = {**(own.get(name) or {}), **value}
    return {"phases": {**dict.fromkeys(OTHERS), "multitask": {**fields, "stages": own}}}


def only(*names: str, **changed: dict[str, Any]) -> dict[str, Any]:
    """Overrides: these phases as the preset has them, those with these fields, and no others."""
    kept = {name: {} for name in names} | changed
    return {"phases": {name: kept.get(name) for name in TINY if name not in names}}


def phase_of(out: str | Path, name: str = "multitask") -> PhaseFolder:
    """The folder of a phase of the run in `out`."""
    return RunFolder(Path(out)).phase(name)
