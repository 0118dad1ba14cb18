"""Which items a stage visits, and what is drawn at each visit."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phases import ALL, multitask

from semantic_cc.config import ModelConfig, PhaseConfig, StageConfig, TrainConfig, load_config
from semantic_cc.data.augment.exchange_dates import exchange_dates
from semantic_cc.data.augment.symmetry import SYMMETRIES
from semantic_cc.data.collate import collate
from semantic_cc.errors import ConfigError, DataError
from semantic_cc.training.sample_loader import samples
from semantic_cc.training.sampling import DeviceShare, SampleRef, schedules_of


def plan_of(pairs, *names, model=None, sort_by_length=False, batch=1, items=None, **fields):
    """The schedules of a phase with these stages."""
    phase = PhaseConfig(stages={name: StageConfig(items, batch) for name in names}, **fields)
    train = TrainConfig(sort_by_length=sort_by_length)
    return schedules_of(phase, model or ModelConfig(), pairs, train)


def batches_of(pairs, schedule, epoch=0, first=0, workers=0):
    """The steps that one device reads, each in one micro-batch."""
    for (batch,) in samples(pairs, schedule, epoch, first, workers, DeviceShare()):
        yield batch


def test_datasets_are_formed_by_what_each_item_has(pairs):
    pairs.pairs[2] = replace(pairs.pairs[2], sentences=())
    change, caption, joint = plan_of(pairs, *ALL)
    assert change.items == (0, 1, 2, 3, 4, 5)
    assert caption.items == joint.items == (0, 1, 3, 4, 5)
    pairs.pairs[3] = replace(pairs.pairs[3], label=None)
    change, caption, joint = plan_of(pairs, *ALL)
    assert change.items == (0, 1, 2, 4, 5)
    assert caption.items == (0, 1, 3, 4, 5)
    assert joint.items == (0, 1, 4, 5)


@pytest.mark.parametrize("augment", [False, True])
def test_unlike_items_make_a_batch(pairs, augment):
    pairs.pairs[0] = replace(pairs.pairs[0], label=None)
    pairs.pairs[1] = replace(pairs.pairs[1], sentences=(), changed=None)
    for leg in plan_of(pairs, *ALL, batch=6, augment=augment):
        (batch,) = batches_of(pairs, leg)
        given = collate([sample.pair for sample in batch])
        assert (given.label is not None) == leg.stage.change
        assert (given.changed is not None) == leg.stage.caption
        assert all(sample.instruction is not None for sample in batch) == leg.stage.caption


def test_a_stage_without_items_is_refused(unlabelled):
    with pytest.raises(DataError, match="stage change needs items with a label"):
        plan_of(unlabelled, "change")
    (leg,) = plan_of(unlabelled, "caption", model=ModelConfig(change_task=False))
    assert leg.visits == 6


def test_an_epoch_is_a_permutation_and_its_last_batch_may_be_smaller(pairs):
    (leg,) = plan_of(pairs, "change", batch=4)
    batches = leg.batches(epoch=0)
    assert [len(batch) for batch in batches] == [4, 2]
    assert leg.steps == 2
    assert sorted(visit.index for batch in batches for visit in batch) == list(range(6))
    assert batches == leg.batches(epoch=0)
    assert batches != leg.batches(epoch=1)
    assert batches != replace(leg, seed=2).batches(epoch=0)


def test_items_limits_the_visits_of_an_epoch(pairs):
    (whole,) = plan_of(pairs, "change")
    (some,) = plan_of(pairs, "change", items=2)
    assert some.batches(3) == whole.batches(3)[:2]
    (more,) = plan_of(pairs, "change", items=100)
    assert more.visits == 6


def test_without_a_stage_the_others_draw_as_before(pairs):
    assert plan_of(pairs, "caption", "joint") == plan_of(pairs, *ALL)[1:]


@pytest.mark.parametrize("workers", [0, 1])
def test_draws_depend_on_seed_epoch_stage_and_position_alone(pairs, workers):
    (leg,) = plan_of(pairs, "caption", batch=2, augment=True)
    whole = list(batches_of(pairs, leg, epoch=4))
    rest = list(batches_of(pairs, leg, epoch=4, first=1, workers=workers))
    for one, other in zip([s for b in whole[1:] for s in b], [s for b in rest for s in b], strict=True):
        assert (one.pair.sentences, one.instruction, one.pair.name) == (
            other.pair.sentences,
            other.instruction,
            other.pair.name,
        )
        np.testing.assert_array_equal(one.pair.before, other.pair.before)


def test_all_sentences_and_instructions_come_up(pairs):
    (leg,) = plan_of(pairs, "caption")
    drawn = [s for epoch in range(12) for b in batches_of(pairs, leg, epoch) for s in b]
    assert {text for s in drawn for text in s.pair.sentences} == {
        sentence for pair in pairs.pairs for sentence in pair.sentences
    }
    assert len({s.instruction for s in drawn}) == 4


def test_sentences_are_drawn_without_replacement_and_at_most_all(pairs):
    said = tuple("abcde")
    pairs.pairs = [replace(pairs.pairs[0], sentences=said), replace(pairs.pairs[1], sentences=said[:2])]
    (leg,) = plan_of(pairs, "caption", sentences=3)
    drawn = [s.pair for epoch in range(40) for b in batches_of(pairs, leg, epoch) for s in b]
    assert {len(set(pair.sentences)) for pair in drawn if pair.name == "p0"} == {3}
    assert {text for pair in drawn if pair.name == "p0" for text in pair.sentences} == set(said)
    assert {frozenset(pair.sentences) for pair in drawn if pair.name == "p1"} == {frozenset("ab")}


def test_augmentation_follows_the_stage(pairs):
    change, caption, joint = plan_of(pairs, *ALL, augment=True)
    known = {pair.name: pair for pair in pairs.pairs}
    moved = [s for b in batches_of(pairs, change) for s in b]
    assert all(s.instruction is None and s.pair.sentences == () for s in moved)
    assert any(not np.array_equal(s.pair.label, known[s.pair.name].label) for s in moved)
    assert all(s.pair.label is None for b in batches_of(pairs, caption) for s in b)
    for sample in (s for b in batches_of(pairs, joint) for s in b):
        pair = known[sample.pair.name]
        assert any(np.array_equal(sample.pair.label, move.of_array(pair.label)) for move in SYMMETRIES)
        assert not np.array_equal(sample.pair.before, pair.before)
        assert {sample.pair.sentences[0], exchange_dates(sample.pair.sentences[0])} & set(pair.sentences)


def test_augmented_tiles_are_windows_of_their_scene(pairs, monkeypatch):
    scene = replace(pairs.pairs[1], label=np.full((64, 64), 255, np.uint8))
    scene = replace(
        scene, before=scene.before.repeat(2, 0).repeat(2, 1), after=scene.after.repeat(2, 0).repeat(2, 1)
    )
    monkeypatch.setattr(pairs, "scene", lambda index: scene, raising=False)
    for augment, shares in ((True, {1.0}), (False, {(p.label == 255).mean() for p in pairs.pairs})):
        change, caption = plan_of(pairs, "change", "caption", augment=augment)
        drawn = [s.pair for b in batches_of(pairs, change) for s in b]
        assert {(pair.label == 255).mean() for pair in drawn} == shares
        assert {pair.before.shape for pair in drawn} == {(32, 32, 3)}
        known = {pair.sentences for pair in pairs.pairs}
        assert {s.pair.sentences for b in batches_of(pairs, caption) for s in b} != {()} != known


def test_the_sentence_is_the_one_of_the_moved_pair(pairs):
    said = ("a house is built on the left", "some houses appear on the left")
    label = pairs.pairs[1].label * 0
    label[:, :8] = 255
    pairs.pairs = [replace(pair, sentences=said, label=label) for pair in pairs.pairs]
    (leg,) = plan_of(pairs, "joint", augment=True)
    seen = set()
    for sample in (s for epoch in range(80) for b in batches_of(pairs, leg, epoch) for s in b):
        assert len(sample.pair.sentences) == 1
        y, x = np.argwhere(sample.pair.label).mean(0)
        side = "left" if x < 8 else "right" if x > 24 else "top" if y < 8 else "bottom"
        assert sample.pair.sentences[0].endswith(side)
        seen.add(sample.pair.sentences[0])
    assert len(seen) == 16  # two sentences, four sides, two orders of the dates


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_item_stops_with_its_own_line(pairs, workers, monkeypatch):
    def broken(self, index):
        raise DataError("p3.png: truncated")

    monkeypatch.setattr(type(pairs), "__getitem__", broken)
    (leg,) = plan_of(pairs, "change")
    with pytest.raises(DataError, match=r"^p3\.png: truncated$"):
        list(batches_of(pairs, leg, workers=workers))


# --- sorting by length, and sharing a step --------------------------------------------------------


@pytest.fixture
def long_and_short(pairs):
    rng = np.random.default_rng(0)
    pairs.pairs = [
        replace(pairs.pairs[0], name=f"n{i}", sentences=(" ".join(["word"] * int(rng.integers(3, 30))),))
        for i in range(203)
    ]
    return pairs


def padding(pairs, batches):
    lengths = [[len(pairs.pairs[v.index].sentences[0].split()) for v in batch] for batch in batches]
    return sum(max(batch) * len(batch) - sum(batch) for batch in lengths)


def test_sorted_batches_hold_every_item_once_and_little_padding(long_and_short):
    plain, by_length = (
        plan_of(long_and_short, "caption", batch=4, sort_by_length=on)[0] for on in (False, True)
    )
    batches = by_length.batches(1)
    assert sorted(visit.position for batch in batches for visit in batch) == list(range(203))
    assert len(batches) == by_length.steps == plain.steps
    assert padding(long_and_short, batches) < 0.2 * padding(long_and_short, plain.batches(1))
    order = [long_and_short.pairs[batch[0].index].sentences[0] for batch in batches]
    assert order != sorted(order, key=len)  # the batches themselves come in random order
    assert batches == by_length.batches(1) != by_length.batches(2)


def test_stages_without_sentences_are_not_sorted(pairs):
    plain = plan_of(pairs, "change", "joint")
    by_length = plan_of(pairs, "change", "joint", sort_by_length=True)
    assert by_length[0] == plain[0]
    assert by_length[1].lengths is not None


@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 5))
def test_shares_hold_every_item_once_and_the_same_number_of_pieces(items, devices, pieces):
    batch = [SampleRef(index, 0, index) for index in range(items)]
    shares = [DeviceShare(rank, devices, pieces).of(batch) for rank in range(devices)]
    read = [visit for share in shares for piece in share for visit in piece]
    assert sorted(v.index for v in read if v.counted) == list(range(items))
    assert len({len(share) for share in shares}) == 1
    for piece in (piece for share in shares for piece in share):
        assert len({visit.counted for visit in piece}) == 1  # a stand-in is alone
    sizes = [sum(v.counted for piece in share for v in piece) for share in shares]
    assert max(sizes) - min(sizes) <= 1


def test_source_weights_share_out_the_visits_of_an_epoch(pairs):
    pairs.sources = [0, 0, 0, 0, 0, 1]
    (leg,) = plan_of(pairs, "change", items=20, batch=4, source_weights=(0.25, 0.75))
    for epoch in (0, 1):
        visited = [visit.index for batch in leg.batches(epoch) for visit in batch]
        assert len(visited) == 20
        assert visited.count(5) == 15
        assert len(set(visited) - {5}) == 5  # a permutation of the first dataset's items
    assert leg.batches(0) != leg.batches(1)


def test_a_source_without_the_wanted_items_gives_its_share_to_the_others(pairs):
    pairs.sources = [0, 0, 0, 0, 0, 1]
    pairs.pairs[5] = replace(pairs.pairs[5], label=None)
    (leg,) = plan_of(pairs, "change", items=10, source_weights=(0.25, 0.75))
    assert sorted(v.index for batch in leg.batches(0) for v in batch) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_source_weights_need_one_number_for_each_dataset():
    with pytest.raises(ConfigError, match="source_weights needs one positive number for each dataset"):
        load_config({"preset": "tiny", "data": ["a", "b"], **multitask(source_weights=[1.0])})
