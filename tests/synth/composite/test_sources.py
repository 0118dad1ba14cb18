"""What each source makes: masks that say what differs, facts that the masks bear out."""

import re
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from semantic_cc.errors import DataError
from semantic_cc.metrics.consistency import check_sentence
from semantic_cc.synth.composite import image_tiles, roof_cutouts
from semantic_cc.synth.composite.image_folders import read_source
from semantic_cc.synth.composite.image_tiles import SIDE, Tile
from semantic_cc.synth.composite.mixture import Mixture, make_pair, open_mixture
from semantic_cc.synth.composite.mixture_recipe import SOURCES, Shares
from semantic_cc.synth.composite.pasted_roofs import paste_roofs
from semantic_cc.synth.composite.unchanged_pairs import unchanged
from semantic_cc.synth.composite.unrelated_pairs import (
    buildings_to_buildings,
    combine_tiles,
    ground_to_buildings,
)
from semantic_cc.synth.procedural import UNCHANGED, Event
from semantic_cc.synth.procedural.caption_writer import write_sentences
from semantic_cc.types import BUILDING, NONE, NOT_BUILDING, ROAD, UNKNOWN

REAL = SOURCES[:4]
WENT = re.compile(
    r"(house|villa|building)s? ((is|are|has|have)( been)? )?(removed|demolished|disappear|vanish)"
)


@pytest.fixture
def mixture(write_recipe) -> Mixture:
    return open_mixture(write_recipe())


def alone(mixture: Mixture, source: str) -> Mixture:
    return replace(mixture, recipe=replace(mixture.recipe, shares=Shares(**{source: 1})))


def parts(area: np.ndarray) -> int:
    return int(ndimage.label(area, structure=np.ones((3, 3), bool))[1])


def tile(
    mixture: Mixture, group: str, *boxes: tuple[int, int, int, int], unsure: tuple[int, ...] = ()
) -> Tile:
    """A tile with buildings in `boxes` (top, left, bottom, right); those numbered in `unsure` are uncertain."""
    building, uncertain = np.zeros((2, SIDE, SIDE), bool)
    for number, (top, left, bottom, right) in enumerate(boxes):
        (uncertain if number in unsure else building)[top:bottom, left:right] = True
    source = next(s for s in mixture.pools["train"].every if s.group == group)
    return Tile(np.zeros((SIDE, SIDE, 3), np.float32), building, uncertain, source)


def test_change_is_the_exclusive_or_of_the_masks(mixture):
    ground = tile(mixture, "wood", (200, 10, 220, 30), unsure=(0,))
    built = tile(mixture, "suburb", (10, 10, 40, 40), (10, 60, 40, 90), (60, 10, 90, 40), unsure=(2,))
    scene = combine_tiles(ground, built, exchanged=False)
    expected = np.full((SIDE, SIDE), NOT_BUILDING)
    expected[ground.uncertain | built.uncertain] = UNKNOWN
    expected[built.building] = BUILDING
    np.testing.assert_array_equal(scene.label, expected)
    (event,) = scene.events
    assert (event.kind, event.gone, event.count, event.place) == ("home", False, 2, "top left corner")
    assert (event.ground, event.trees) == ("woods", True)
    swapped = combine_tiles(ground, built, exchanged=True)
    np.testing.assert_array_equal(swapped.label, expected)
    assert (swapped.events[0].gone, swapped.events[0].ground) == (True, "")
    assert swapped.before is built.image and swapped.after is ground.image


def test_a_building_where_one_was_is_no_change(mixture):
    one = tile(mixture, "town", (10, 10, 40, 40), (100, 10, 130, 40), (200, 10, 230, 40), (10, 200, 40, 230))
    other = tile(
        mixture, "town", (10, 10, 40, 40), (100, 41, 130, 71), (200, 41, 230, 71), (12, 201, 42, 231)
    )
    scene = combine_tiles(one, other, exchanged=False)
    assert (scene.label[15:35, 15:35] == NOT_BUILDING).all()
    assert sorted((e.kind, e.gone, e.count) for e in scene.events) == [("roof", False, 2), ("roof", True, 2)]
    assert UNKNOWN in scene.label[5:45, 195:235] and BUILDING not in scene.label[5:45, 195:235]  # two slivers


def test_what_cannot_be_told_truly_is_drawn_anew(mixture):
    one = tile(mixture, "town", (10, 10, 40, 40))
    assert combine_tiles(one, one, exchanged=False) is None
    assert (
        combine_tiles(tile(mixture, "wood"), tile(mixture, "town", (10, 10, 12, 12)), exchanged=False) is None
    )
    other = tile(mixture, "town", (80, 80, 120, 120))  # one comes and one goes
    assert combine_tiles(one, other, exchanged=False) is None
    one = tile(mixture, "town", (10, 10, 40, 40), (60, 10, 90, 40))
    other = tile(mixture, "town", (40, 10, 60, 40), (90, 10, 120, 40))  # all in one heap
    assert combine_tiles(one, other, exchanged=False) is None


def test_pieces_of_one_building_are_not_counted_as_several(mixture):
    boxes = [(10, 10 + 40 * k, 30, 40 + 40 * k) for k in range(4)]
    gaps = [(10, 40 + 40 * k, 30, 50 + 40 * k) for k in range(4)]
    ground = tile(mixture, "wood")
    apart = combine_tiles(ground, tile(mixture, "town", *boxes), exchanged=False)
    assert apart.events[0].count == 4
    joined = tile(mixture, "town", *boxes, gaps[0], gaps[2], unsure=(4, 5))
    assert combine_tiles(ground, joined, exchanged=False).events[0].count == 2
    heap = tile(mixture, "town", *boxes, *gaps, unsure=(4, 5, 6, 7))
    assert combine_tiles(ground, heap, exchanged=False) is None  # one or several, who knows
    splinters = tile(mixture, "town", (10, 10, 18, 18), (40, 10, 48, 18), (70, 10, 78, 18))
    assert combine_tiles(ground, splinters, exchanged=False) is None


def test_complete_masks_give_exact_counts(mixture):
    whole = replace(mixture.pools["train"].built[0].folder, complete=True)
    for group, kind in (("suburb", "house"), ("town", "building")):
        built = tile(mixture, group, (10, 10, 40, 40), (10, 60, 40, 90), (60, 10, 90, 40))
        built = replace(built, source=replace(built.source, folder=whole))
        (event,) = combine_tiles(tile(mixture, "wood"), built, exchanged=False).events
        assert (event.kind, event.count) == (kind, 3)


@pytest.mark.parametrize("seed", range(12))
def test_pasted_buildings_are_what_differs(mixture, seed):
    scene, rng = None, np.random.default_rng(seed)
    while scene is None:  # no room
        scene = paste_roofs(mixture.pools["train"], rng, exchanged=bool(seed % 2))
    built = scene.label == BUILDING
    difference = np.abs(scene.before - scene.after).max(axis=2)
    assert (difference[built] > 12).mean() > 0.9
    assert (difference == 0).mean() > 0.3  # the ground stays
    buildings = next(event for event in scene.events if event.kind != "road")
    assert buildings.gone == bool(seed % 2)
    assert parts(built) == buildings.count
    assert (scene.label == ROAD).any() == any(event.kind == "road" for event in scene.events)
    assert set(np.unique(scene.label)) <= {NONE, ROAD, BUILDING}
    assert (scene.roofs & built).sum() == built.sum()
    if buildings.ground:
        assert not buildings.gone and buildings.ground in ("woods", "grassland")


def test_some_stand_at_both_dates(mixture):
    standing = 0
    for seed in range(16):
        scene = paste_roofs(mixture.pools["train"], np.random.default_rng(seed), exchanged=False)
        if scene is not None:
            stays = scene.roofs & (scene.label != BUILDING)
            standing += stays.any()
            # but for what shadows and lots of newcomers cover
            assert not stays.any() or np.median(np.abs(scene.before - scene.after).max(axis=2)[stays]) == 0
    assert standing >= 2


def test_without_whole_roofs_nothing_is_pasted(mixture, monkeypatch):
    monkeypatch.setattr("semantic_cc.synth.composite.pasted_roofs.find_roofs", lambda _: ())
    assert paste_roofs(mixture.pools["train"], np.random.default_rng(0), exchanged=False) is None
    with pytest.raises(
        DataError, match="pasted: 200 draws gave no pair; the masks hold too few whole buildings"
    ):
        make_pair(alone(mixture, "pasted"), 0, 0, "train")


def test_unchanged_is_one_picture_twice(mixture):
    for seed in range(8):
        scene = unchanged(mixture.pools["train"], np.random.default_rng(seed))
        assert scene.before is scene.after and not scene.label.any() and scene.events == ()
    bare = replace(mixture.pools["train"], built=())
    bare = replace(bare, every=bare.bare)
    assert not any(unchanged(bare, np.random.default_rng(seed)).roofs.any() for seed in range(8))
    pair = make_pair(alone(mixture, "unchanged"), 1, 2, "train")
    assert pair.sentences == UNCHANGED and pair.changed is False and not pair.label.any()
    assert np.abs(pair.before.astype(int) - pair.after).mean() > 2


PLACES = ("", "top", "left", "middle", "bottom right corner")


@pytest.mark.parametrize("kind", ["home", "roof", "building", "house"])
@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 12])
def test_there_are_five_sentences_for_whatever_is_made(kind, gone, count):
    for place, ground, road in product(PLACES, ("", "field", "woods"), ("", "old", "new")):
        event = Event(
            kind, gone, count, place, "" if gone else ground, ground == "woods", road, int(bool(road))
        )
        others = [()]
        if road == "new":
            others.append((Event("road", False, 1, "", ground, shape="curved", tone="cement"),))
        if kind in ("home", "roof") and count > 1:
            others.append((Event("home", not gone, 3, place),))
        for other in others:
            assert len(set(write_sentences((event, *other), np.random.default_rng(count)))) == 5


def test_what_is_not_sure_is_not_said():
    def said(event):
        return {s for seed in range(40) for s in write_sentences((event,), np.random.default_rng(seed))}

    unsure = re.compile(r"\b(three|several|villas?|detached|large|road|grass\w*)\b")
    assert not any(unsure.search(sentence) for sentence in said(Event("home", False, 3, "")))
    assert "the field becomes a residential area" in said(Event("home", False, 12, "", "field"))


@given(seed=st.integers(0, 10**6), index=st.integers(0, 10**6), source=st.sampled_from(REAL))
@settings(max_examples=32, deadline=None)
def test_sentences_agree_with_their_masks(images_root, seed, index, source):
    mixture = alone(open_mixture(images_root / "recipe.yaml"), source)
    pair = make_pair(mixture, seed, index, "train")
    assert len(set(pair.sentences)) == 5
    assert pair.changed == (source != "unchanged") == bool((pair.label == BUILDING).any())
    for sentence in pair.sentences:
        checks = check_sentence(sentence, pair.label, roads=NOT_BUILDING not in pair.label)
        assert all(check.agrees for check in checks), (sentence, checks)


@pytest.fixture(autouse=True)
def _recipe(write_recipe):
    write_recipe()  # for the property test, which may use no fixture of a single test


def test_dates_are_exchanged_half_of_the_time(mixture):
    for source in ("pasted", "ground_to_buildings"):
        pairs = [make_pair(alone(mixture, source), 4, index, "train") for index in range(16)]
        gone = [bool(WENT.search(" ".join(pair.sentences))) for pair in pairs]
        assert 3 <= sum(gone) <= 13
    kept = replace(mixture, recipe=replace(mixture.recipe, exchanged=0.0, shares=Shares(pasted=1)))
    said = " ".join(" ".join(make_pair(kept, 4, index, "train").sentences) for index in range(8))
    assert not WENT.search(said)  # trees may have gone


@pytest.mark.parametrize("source", REAL)
def test_a_pair_depends_on_its_numbers_alone(mixture, source):
    own = alone(mixture, source)
    first = make_pair(own, 3, 5, "train")
    np.random.seed(1)
    make_pair(own, 3, 6, "train")
    read_source.cache_clear()
    roof_cutouts.find_roofs.cache_clear()
    again = make_pair(own, 3, 5, "train")
    for part in ("before", "after", "label"):
        np.testing.assert_array_equal(getattr(first, part), getattr(again, part))
    assert (first.sentences, first.name) == (again.sentences, again.name)
    assert (make_pair(own, 4, 5, "train").after != first.after).any()


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_sees_its_own_images_alone(mixture, split, monkeypatch):
    seen = set()

    def spy(source):
        seen.add(source.split)
        return read_source(source)

    monkeypatch.setattr(image_tiles, "read_source", spy)
    monkeypatch.setattr(roof_cutouts, "read_source", spy)
    roof_cutouts.find_roofs.cache_clear()
    for source in REAL:
        for index in range(2):
            make_pair(alone(mixture, source), 8, index, split)
    assert seen == {split}


def test_both_unrelated_sources_use_what_they_say(mixture):
    rng = np.random.default_rng(0)
    pool = mixture.pools["train"]
    for _ in range(5):
        scene = ground_to_buildings(pool, rng, exchanged=False)
        assert scene is None or {event.gone for event in scene.events} == {False}
        scene = buildings_to_buildings(pool, rng, exchanged=False)
        assert scene is None or {event.kind for event in scene.events} <= {"home", "roof"}


def test_what_a_partial_mask_does_not_show_is_not_known(mixture):
    def partial(of: Tile) -> Tile:
        folder = replace(of.source.folder, partial=("town",))
        return replace(of, source=replace(of.source, folder=folder))

    ground, built = tile(mixture, "wood"), partial(tile(mixture, "town", (10, 10, 40, 40)))
    label = combine_tiles(ground, built, exchanged=False).label
    assert (label[10:40, 10:40] == BUILDING).all() and set(np.unique(label)) == {BUILDING, UNKNOWN}
    # a house where a partial mask has nothing may have stood there before
    house = tile(mixture, "suburb", (100, 100, 130, 130))
    assert combine_tiles(partial(tile(mixture, "town")), house, exchanged=False) is None
    empty = partial(tile(mixture, "town")).source
    assert not replace(empty, built=0.0, uncertain=0.0).bare


def test_roofs_of_halls_have_a_scale_of_their_own(mixture):
    town, suburb = (
        next(s for s in mixture.pools["train"].built if s.group == group) for group in ("town", "suburb")
    )
    assert town.roof_scale == suburb.roof_scale == (0.8, 1.2)
    halls = replace(town.folder, hall_scale=(2.0, 3.0))
    assert replace(town, folder=halls).roof_scale == (2.0, 3.0)
    assert replace(suburb, folder=halls).roof_scale == (0.8, 1.2)
