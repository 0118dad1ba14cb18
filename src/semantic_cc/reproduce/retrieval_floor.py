"""The scores of retrieval (`baselines.retrieval`) on the test pairs, as a floor below Table I."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from semantic_cc.baselines.retrieval import Retrieval, difference_features
from semantic_cc.checkpoint.serialization import load_pretrained
from semantic_cc.data.collate import collate
from semantic_cc.data.open_dataset import open_dataset
from semantic_cc.files import write_files
from semantic_cc.metrics.caption import caption_report
from semantic_cc.metrics.caption_report import PartScores
from semantic_cc.metrics.meteor import find_java
from semantic_cc.reproduce.experiment_runs import FinishedRun, ReproductionSetup
from semantic_cc.reproduce.kept_evaluation import read_parts
from semantic_cc.reproduce.run_digests import scores_digest
from semantic_cc.reproduce.table_types import PairSet

if TYPE_CHECKING:
    from semantic_cc.data.items import ChangeDataset
    from semantic_cc.model.base import ChangeModel


def retrieval_floor(setup: ReproductionSetup, run: FinishedRun) -> Mapping[PairSet, PartScores]:
    """Set of pairs -> scores of retrieval, from the features of the run's image encoder; kept below OUT/floors.

    Args:
        setup: training data, test data, and whether METEOR is scored.
        run: a run with the shared frozen encoder, and without filters in it.

    Raises:
        DataError: the training pairs with sentences lack change flags, or do not have both.
    """
    data = setup.digest(setup.data, "train", "val"), setup.digest(setup.test, "train", "test")
    encoder = str(run.facts["config"]["model"]["encoder"]["weights"])
    meteor = setup.meteor and find_java() is not None
    name = scores_digest(" ".join(data), encoder=Path(encoder).parent.name, meteor=meteor)
    path = setup.out / "floors" / f"retrieval-{name}.json"
    if not path.exists():
        setup.say(f"retrieval: scoring on {' '.join(setup.test)}, split test")
        content = _scored(setup, load_pretrained(run.model)[0].eval())
        write_files(path.parent, {path.name: (json.dumps(content, indent=1) + "\n").encode()})
    return read_parts(json.loads(path.read_text()))


def _scored(setup: ReproductionSetup, model: ChangeModel) -> dict[str, object]:
    train, test = open_dataset(setup.data, "train"), open_dataset(setup.test, "test")
    captioned = [
        place for place, item in enumerate(train.items) if item.sentences and item.changed is not None
    ]
    method = Retrieval(
        _features(model, train, captioned),
        [bool(train.items[place].changed) for place in captioned],
        [train.items[place].sentences for place in captioned],
    )
    asked = [place for place, item in enumerate(test.items) if item.sentences]
    changed, sentences = method.answer(_features(model, test, asked))
    names = [test.items[place].name for place in asked]
    flags = {name: test.flags[name] for name in names if name in test.flags}
    return caption_report(
        dict(zip(names, sentences, strict=True)),
        {name: test.references[name] for name in names},
        changed=flags if len(flags) == len(names) else None,
        flags=dict(zip(names, changed, strict=True)),
        meteor=setup.meteor,
    ).to_json()


@torch.no_grad()
def _features(model: ChangeModel, pairs: ChangeDataset, places: list[int]) -> Tensor:
    """(n, f): each pair is encoded by itself, so that images may have different sizes."""
    batches = (collate([pairs[place]]) for place in places)
    return torch.cat([difference_features(model.encode(one.before, one.after).caption) for one in batches])
