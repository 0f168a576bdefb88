# Two steps: build wheels where compilers may be, run where they are not.
#
# Tags move. To build from exactly one base image, pass the digest that
# `docker buildx imagetools inspect python:3.13-slim` prints: --build-arg PYTHON_IMAGE=python:3.13-slim@sha256:…
# (the release workflow does, and records it in the image's provenance).
ARG PYTHON_IMAGE=python:3.13-slim

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY migrations migrations
RUN pip wheel --no-cache-dir --wheel-dir /wheels '.[postgres]'

FROM ${PYTHON_IMAGE}
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --no-index --find-links=/wheels 'livekit-usher[postgres]' \
 && rm -rf /wheels \
 && useradd --system --uid 10001 --home-dir /data --create-home usher
USER 10001
# An embedded database lives here: mount a volume, or set DATABASE_URL to PostgreSQL.
WORKDIR /data
VOLUME /data
ENV USHER_HOST=0.0.0.0 USHER_PORT=8080 USHER_LOG_FORMAT=json PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['USHER_PORT'] + '/healthz', timeout=2)"]
# SIGTERM ends it gracefully: what was accepted is finished, leases are handed back.
ENTRYPOINT ["usher"]
CMD ["serve"]
