"""The multipart forms of the routes: two images and options."""

from __future__ import annotations

from typing import Annotated

from fastapi import File, Form, UploadFile

from semantic_cc.serve.job_request import MAX_TEXT, JobRequest

Before = Annotated[UploadFile, File(description="the earlier image")]
After = Annotated[UploadFile, File(description="the later image, of the same place")]
Instruction = Annotated[
    str | None, Form(max_length=MAX_TEXT, description="a prompt that replaces the model's own")
]


def read_request(
    instruction: Instruction = None,
    bands: Annotated[
        str | None,
        Form(
            max_length=MAX_TEXT,
            description="numbers, from 1, of the red, green and blue band; those of the after image follow a /",
            examples=["3,2,1"],
        ),
    ] = None,
    crs: Annotated[
        str | None,
        Form(
            max_length=MAX_TEXT,
            description="coordinate reference system of images without one",
            examples=["EPSG:32614"],
        ),
    ] = None,
    resolution: Annotated[
        float | None,
        Form(
            gt=0,
            allow_inf_nan=False,
            description="side of a pixel on the ground, in metres; default: that of the finer image",
        ),
    ] = None,
    match_radiometry: Annotated[
        bool,
        Form(description="match the levels of two images of more than 8 bits over unchanged ground"),
    ] = True,
    coregister: Annotated[
        bool, Form(description="correct a shift of the after image by more than a pixel")
    ] = False,
    strict: Annotated[bool, Form(description="treat warnings about the images as errors")] = False,
    regularise: Annotated[bool, Form(description="draw buildings with straight outlines")] = False,
    before_date: Annotated[
        str | None,
        Form(
            max_length=MAX_TEXT, description="date of the before image, in ISO 8601", examples=["2019-05-31"]
        ),
    ] = None,
    after_date: Annotated[
        str | None,
        Form(
            max_length=MAX_TEXT, description="date of the after image, in ISO 8601", examples=["2024-06-02"]
        ),
    ] = None,
) -> JobRequest:
    """The options of a request; an empty text counts as not given."""
    return JobRequest(
        instruction=instruction or None,
        bands=bands or None,
        crs=crs or None,
        resolution=resolution,
        match_radiometry=match_radiometry,
        coregister=coregister,
        strict=strict,
        regularise=regularise,
        before_date=before_date or None,
        after_date=after_date or None,
    )
