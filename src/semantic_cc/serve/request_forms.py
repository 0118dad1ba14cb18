"""The multipart forms that routes take: two images and options."""

from __future__ import annotations

from typing import Annotated

from fastapi import File, Form, UploadFile

from semantic_cc.serve.job_request import MAX_TEXT, JobRequest

Before = Annotated[UploadFile, File(description="the earlier image")]
After = Annotated[UploadFile, File(description="the later image, of the same place")]
Instruction = Annotated[
    str | None, Form(max_length=MAX_TEXT, description="instruction to use instead of the model's own")
]


def read_request(
    instruction: Instruction = None,
    bands: Annotated[
        str | None,
        Form(
            max_length=MAX_TEXT,
            description="numbers of the red, green and blue bands, from 1; those of AFTER follow a /, if they differ",
            examples=["3,2,1"],
        ),
    ] = None,
    crs: Annotated[
        str | None,
        Form(
            max_length=MAX_TEXT,
            description="coordinate reference system of images that have none",
            examples=["EPSG:32614"],
        ),
    ] = None,
    resolution: Annotated[
        float | None, Form(gt=0, allow_inf_nan=False, description="pixel size on the ground in metres")
    ] = None,
    match_radiometry: Annotated[
        bool, Form(description="match the levels of the two dates of images with more than 8 bits")
    ] = True,
    coregister: Annotated[
        bool, Form(description="measure how far AFTER is shifted, and correct a shift of more than a pixel")
    ] = False,
    strict: Annotated[bool, Form(description="treat warnings about the images as errors")] = False,
    regularise: Annotated[bool, Form(description="draw buildings with straight outlines")] = False,
    before_date: Annotated[
        str | None,
        Form(max_length=MAX_TEXT, description="when BEFORE was taken, in ISO 8601", examples=["2019-05-31"]),
    ] = None,
    after_date: Annotated[
        str | None,
        Form(max_length=MAX_TEXT, description="when AFTER was taken, in ISO 8601", examples=["2024-06-02"]),
    ] = None,
) -> JobRequest:
    """The options of a request; an empty text is one that was not given."""
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
