"""Converts report.json to the data that the viewer in report.html and on the web page shows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

from semantic_cc.figures.colours import CLASS_COLOURS
from semantic_cc.scene.places import CLASS_NAMES
from semantic_cc.scene.report_text import area_text, changes_text, count_text
from semantic_cc.scene.scene_report import ClassStats
from semantic_cc.types import Json

_JsonObject = dict[str, Any]


def scene_viewer_data(report: Mapping[str, Json]) -> dict[str, Json]:
    """The viewer's data for a scene.

    Args:
        report: the content of report.json, as from `SceneReport.to_json`.

    Returns:
        sentence; size (width, height) of the grid; metres per pixel or None; unit of areas; ground, the known area as
        text; rows of the table of figures; places with number n, sentence, changed, probability, where, changes as
        text, area in m² or None, pixels, classes, extent (left, top, width, height) in pixels and bounds in degrees;
        warnings, notes and provenance as text; colours of the classes; flag and detail, which are None.
    """
    content = cast(_JsonObject, report)
    figures, grid = content["figures"], content["grid"]
    known = figures["known_pixels"]
    sides = grid["pixel_size_m"]
    return {
        "sentence": content["sentence"],
        "flag": None,
        "detail": None,
        "size": [grid["width"], grid["height"]],
        "metres": None if sides is None else math.sqrt(sides[0] * sides[1]),
        "unit": "pixels" if figures["known_area_m2"] is None else "m²",
        "ground": area_text(figures["known_area_m2"], known),
        "rows": [_row(name, stats, known) for name, stats in figures["classes"].items()],
        "places": [_place(place) for place in content["places"]],
        "warnings": [warning["text"] for warning in content["warnings"]],
        "notes": content["notes"],
        "provenance": _scene_provenance(content),
        "colours": _colours(),
    }


def pair_viewer_data(report: Mapping[str, Json]) -> dict[str, Json]:
    """The viewer's data for a pair of plain images: as from `scene_viewer_data`, without places.

    Args:
        report: the content of report.json, as from `ChangeDescription.to_json`.
    """
    content = cast(_JsonObject, report)
    size, shares = content["image_size"], content["class_shares"] or {}
    pixels = size["width"] * size["height"]
    probability = content["change_probability"]
    flag = "The model's change flag says: " + ("changed" if content["changed"] else "not changed")
    return {
        "sentence": content["sentence"] or "The model wrote no sentence.",
        "flag": flag + ("." if probability is None else f" (change probability {probability:.0%})."),
        "detail": None,
        "size": [size["width"], size["height"]],
        "metres": None,
        "unit": "pixels",
        "ground": area_text(None, pixels),
        "rows": [
            {"name": name, "cells": [None, area_text(None, round(share * pixels)), f"{share:.2%}", None]}
            for name, share in shares.items()
        ],
        "places": [],
        "warnings": [],
        "notes": content["notes"],
        "provenance": [
            *_model(content),
            ["size", f"{size['width']:,} x {size['height']:,} pixels"],
            _version(content),
        ],
        "colours": _colours(),
    }


def _row(name: str, stats: _JsonObject, known: int) -> Json:
    """A row of the table of figures: changed, area, share of the known area, mean probability."""
    share = f"{stats['pixels'] / known:.2%}" if known else None
    mean = None if stats["probability"] is None else f"{stats['probability']:.0%}"
    return {
        "name": name,
        "cells": [
            count_text(name, stats["objects"]),
            area_text(stats["area_m2"], stats["pixels"]),
            share,
            mean,
        ],
    }


def _place(place: _JsonObject) -> Json:
    classes = {name: ClassStats(**stats) for name, stats in place["classes"].items()}
    areas = [stats.area_m2 for stats in classes.values()]
    extent = place["extent"]
    return {
        "n": place["number"],
        "sentence": place["sentence"],
        "changed": place["changed"],
        "probability": place["change_probability"],
        "where": place["where"],
        "changes": changes_text(classes),
        "area": None if None in areas else sum(area or 0 for area in areas),
        "pixels": sum(stats.pixels for stats in classes.values()),
        "classes": list(classes),
        "extent": [extent["left"], extent["top"], extent["width"], extent["height"]],
        "bounds": place["bounds_wgs84"],
    }


def _scene_provenance(content: _JsonObject) -> list[Json]:
    """[name, text] of the inputs and settings; without times, so that equal results have equal pages."""
    settings, grid = content["settings"], content["grid"]
    rows: list[Json] = [
        [role, f"{image['name']} (bands {', '.join(map(str, image['bands']))})"]
        for role, image in zip(("before", "after"), content["inputs"], strict=True)
    ]
    if content["dates"]:
        rows.append(["dates", " to ".join(content["dates"])])
    rows += _model(content)
    if settings["instruction"]:
        rows.append(["instruction", settings["instruction"]])
    rows.append(["windows", f"{settings['tile']} pixels, overlapping by {settings['overlap']}"])
    rows.append(["size", f"{grid['width']:,} x {grid['height']:,} pixels"])
    return [*rows, ["CRS", grid["crs"] or "none"], _version(content)]


def _model(content: _JsonObject) -> list[Json]:
    return [["model", content["model"]["name"]], ["digest", content["model"]["digest"]]]


def _version(content: _JsonObject) -> Json:
    return ["semantic-cc", content["version"]]


def _colours() -> Json:
    return {CLASS_NAMES[value]: f"rgb{colour}" for value, colour in CLASS_COLOURS.items()}
