"""The synthetic world's pictures, labels and determinism."""

from __future__ import annotations

import numpy as np
import pytest

from semantic_cc.errors import InputError
from semantic_cc.synth.procedural import UNCHANGED, draw_label, generate_pair, is_changed, plan_pair

PAIRS = range(24)


@pytest.fixture(scope="module")
def pairs():
    return [generate_pair(11, i) for i in PAIRS]


def test_shapes_and_types(pairs):
    for pair in pairs:
        for image in (pair.before, pair.after):
            assert image.shape == (256, 256, 3) and image.dtype == np.uint8
        assert pair.label.shape == (256, 256) and pair.label.dtype == np.uint8
        assert set(np.unique(pair.label)) <= {0, 128, 255}
        assert len(pair.sentences) == len(set(pair.sentences)) == 5


def test_same_numbers_same_pair_whatever_the_global_state(pairs):
    np.random.seed(5)
    for i in (1, 4, 5):
        again = generate_pair(11, i)
        np.testing.assert_array_equal(again.before, pairs[i].before)
        np.testing.assert_array_equal(again.after, pairs[i].after)
        np.testing.assert_array_equal(again.label, pairs[i].label)
        assert (again.sentences, again.changed, again.name) == (
            pairs[i].sentences,
            pairs[i].changed,
            pairs[i].name,
        )


def test_other_seed_or_index_other_pair(pairs):
    assert (generate_pair(12, 0).after != pairs[0].after).any()
    assert (pairs[0].after != pairs[1].after).any()


@pytest.mark.parametrize("seed", [0, 1, 99])
def test_exactly_half_is_changed_and_not_by_parity(seed):
    flags = [is_changed(seed, i) for i in range(400)]
    assert all(flags[i] != flags[i + 1] for i in range(0, 400, 2))
    assert 60 < sum(flags[::2]) < 140


def test_unchanged_pairs_differ_by_nuisance_alone(pairs):
    for i, pair in enumerate(pairs):
        if pair.changed:
            continue
        plan = plan_pair(11, i)
        assert plan.events == () and pair.sentences == UNCHANGED and not pair.label.any()
        assert np.abs(pair.before.astype(int) - pair.after).mean() > 2
        for thing in (*plan.roads, *plan.houses, *plan.buildings, *plan.lots, *plan.pools):
            assert thing.before and thing.after
        np.testing.assert_array_equal(plan.trees.before, plan.trees.after)


def test_label_holds_exactly_changed_roofs_and_roads():
    for i in range(200):
        plan = plan_pair(3, i)
        label = draw_label(plan)
        kinds = {e.kind for e in plan.events}
        assert (label == 255).any() == bool(kinds & {"house", "building"})
        assert (label == 128).any() == ("road" in kinds)
        for house in plan.houses:
            x, y = int(house.boxes[0].x), int(house.boxes[0].y)
            assert (label[y, x] == 255) == (house.before != house.after)


def test_turning_circles_and_sidewalks_in_the_label():
    """All of a new road is in the label, its turning circle too, except where an old road runs; no sidewalk is."""
    circles = 0
    for i in (i for i in range(240) if is_changed(4, i)):
        plan = plan_pair(4, i)
        label = draw_label(plan)
        yy, xx = np.mgrid[0:256, 0:256] + 0.0
        points = np.stack([xx.ravel(), yy.ravel()], axis=1)[::37]
        values = label.ravel()[::37]
        new = [r for r in plan.roads if not r.before]
        old = [r for r in plan.roads if r.before]
        if not new:
            continue
        gap = np.min([r.gap(points) for r in new], axis=0)
        free = np.min([r.gap(points) for r in old], axis=0) > 1.5 if old else np.full(len(points), True)
        assert (values[(gap < -1.5) & free] == 128).all()
        assert not (values[gap > 1.5] == 128).any()
        circles += any(r.bulb and (label == 128).any() for r in new)
    assert circles


def test_houses_have_the_size_of_real_ones():
    """25 to 45 pixels, measured along the house's own axes."""
    spans = []
    for i in range(100):
        for house in plan_pair(6, i).houses:
            main = house.boxes[0]
            corners = main.local(np.concatenate([b.corners() for b in house.boxes]))
            spans.append(np.ptp(corners, axis=0))
    low, high = np.percentile(spans, [2, 98])
    assert low > 22 and high < 48 and 28 < np.median(spans) < 40


def test_things_go_as_well_as_come():
    plans = [plan_pair(9, i) for i in range(400) if is_changed(9, i)]
    gone = {e.kind for p in plans for e in p.events if e.gone}
    assert {"house", "building", "tree", "parking lot"} <= gone


def test_unchanged_pairs_are_hard(pairs):
    """Light, season, blur and cars change the unchanged pairs as much as the changed ones where nothing happened."""
    apart = {True: [], False: []}
    for pair in pairs:
        still = pair.label == 0
        apart[pair.changed].append(np.abs(pair.before.astype(int) - pair.after).mean(axis=2)[still].mean())
    assert np.mean(apart[False]) > 0.6 * np.mean(apart[True])
    assert max(apart[False]) > 40


def test_changed_roofs_are_seen_in_the_pictures(pairs):
    for pair in pairs:
        roof = pair.label == 255
        if roof.any():
            difference = np.abs(pair.before.astype(int) - pair.after).mean(axis=2)
            assert difference[roof].mean() > 12


def test_no_event_is_tiny():
    for i in range(200):
        for event in plan_pair(8, i).events:
            corners = np.concatenate([b.corners() for b in event.boxes])
            assert np.ptp(np.clip(corners, 0, 256), axis=0).max() >= 10, event


def test_size_changes_the_resolution_not_the_place():
    small, large = generate_pair(2, 5, 64), generate_pair(2, 5, 128)
    assert small.before.shape == (64, 64, 3) and small.label.shape == (64, 64)
    assert small.sentences == large.sentences == generate_pair(2, 5).sentences
    assert abs((small.label == 255).mean() - (large.label == 255).mean()) < 0.02


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((-1, 0), "seed is -1"),
        ((0, -3), "index is -3"),
        ((0, 0, 8), "size is 8"),
        ((0, 0, 5000), "size is 5000"),
    ],
)
def test_bad_numbers(args, message):
    with pytest.raises(InputError, match=message):
        generate_pair(*args)
