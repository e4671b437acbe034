# Two images from one file:
#   docker build --target proxy   -t penstock-proxy .      the data plane: base dependencies only
#   docker build --target control -t penstock-control .    the control plane: with MLflow, SQLAlchemy, the API
ARG PYTHON=3.13-slim

# The data plane's hot path is compiled here, which takes gcc, of whatever version the release has.
FROM python:${PYTHON} AS build
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
ENV PENSTOCK_COMPILE=1
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements-build.lock ./
RUN pip install --require-hashes -r requirements-build.lock
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY proxy proxy
COPY gates gates
COPY loadtests/model_load.py loadtests/
COPY config/penstock.yaml config/penstock.schema.json config/
COPY config/gates config/gates
RUN python -m hatchling build --target wheel --directory /dist

# Each plane's environment, made where a compiler or pip may stay behind.
FROM build AS proxy-build
COPY requirements-proxy.lock ./
RUN python -m venv /venv \
    && /venv/bin/pip install --require-hashes --only-binary :all: -r requirements-proxy.lock \
    && /venv/bin/pip install --no-index --no-deps /dist/*.whl

FROM build AS control-build
COPY requirements-control.lock ./
RUN python -m venv /venv \
    && /venv/bin/pip install --require-hashes --only-binary :all: -r requirements-control.lock \
    && /venv/bin/pip install --no-index --no-deps /dist/*.whl

# The numeric id lets Kubernetes prove that it is not root.
FROM python:${PYTHON} AS base
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
RUN useradd --uid 10001 --user-group --create-home --home-dir /var/lib/penstock --shell /usr/sbin/nologin penstock
WORKDIR /var/lib/penstock
USER 10001:10001

FROM base AS proxy
COPY --from=proxy-build /venv /venv
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=2s --start-period=5s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/-/live', timeout=2)"]
ENTRYPOINT ["penstock", "proxy"]
CMD ["--help"]

FROM base AS control
COPY --from=control-build /venv /venv
EXPOSE 9080
HEALTHCHECK --interval=10s --timeout=2s --start-period=30s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:9080/-/live', timeout=2)"]
ENTRYPOINT ["penstock", "control"]
CMD ["--config", "/etc/penstock/penstock.yaml"]
