"""Pairs spread over the machines of a Ray cluster by Ray Serve; without a cluster, over processes of this machine.

    pip install 'ray[serve]' 'semantic-cc[serve]'
    python examples/ray_serve.py
    curl -F before=@before.png -F after=@after.png http://127.0.0.1:8000/describe

The answer is report.json of the pair, or a problem document with status 422. Scenes are for `semantic-cc serve`.
"""

import argparse
import io

from PIL import Image
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse

from semantic_cc import SemanticCC
from semantic_cc.errors import InputError


@serve.deployment(max_ongoing_requests=1, max_queued_requests=64)
class Describe:
    """One model, which answers one pair after the other; a full queue answers 503."""

    def __init__(self, model: str) -> None:
        self.model = SemanticCC.from_pretrained(model)

    async def __call__(self, request: Request) -> JSONResponse:
        form = await request.form()
        try:
            images = [Image.open(io.BytesIO(await form[date].read())) for date in ("before", "after")]
            return JSONResponse(self.model.describe(*images).to_json())
        except KeyError as error:
            detail = f"{error.args[0]}: the form has no such file; send before and after"
        except OSError:
            detail = "before or after: is not an image; send PNG, JPEG or TIFF"
        except InputError as error:
            detail = str(error)
        problem = {"title": "Unprocessable Content", "status": 422, "detail": detail}
        return JSONResponse(problem, 422, media_type="application/problem+json")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="small")
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--port", type=int, default=8000)
    given = parser.parse_args()
    serve.start(http_options={"host": "127.0.0.1", "port": given.port})
    app = Describe.options(num_replicas=given.replicas).bind(given.model)
    serve.run(app, route_prefix="/describe", blocking=True)
