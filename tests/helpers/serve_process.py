"""A service as a process of its own: `python serve_process.py DATA PORT PAUSE`, with a model that needs no torch."""

import sys
from pathlib import Path

from services import SlowModel

from semantic_cc.serve.serve_settings import ServeSettings
from semantic_cc.serve.service import create_app
from semantic_cc.serve.serving import serve_app

if __name__ == "__main__":
    folder, port, pause = sys.argv[1:]
    settings = ServeSettings(data=Path(folder), port=int(port), client_jobs=1000)
    app = create_app(settings, SlowModel(float(pause)))
    serve_app(app, settings, started=lambda address: print(address, flush=True))
