# The pizzeria's processes: web, relay, worker, flower, migrate. PostgreSQL and Redis are containers of their own.

FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/pizzeria
WORKDIR /src
ARG LOCK=requirements.lock
COPY ${LOCK} .
RUN /opt/pizzeria/bin/pip install --only-binary=:all: --require-hashes --requirement ${LOCK}
COPY . .
RUN /opt/pizzeria/bin/pip install --no-deps --no-build-isolation . \
    && /opt/pizzeria/bin/pip check \
    && /opt/pizzeria/bin/pip uninstall --yes pip

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin pizzeria
COPY --from=build /opt/pizzeria /opt/pizzeria
ENV PATH=/opt/pizzeria/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /opt/pizzeria
USER 10001
# Each process has a health check of its own: see docker-compose.yml.
HEALTHCHECK NONE
CMD ["pizzeria", "--help"]
