# syntax=docker/dockerfile:1
# One image for every service: the command chooses which (`gateway`, `scheduler`, `storage`, `executor app.py`,
# `migrate`, ...). An image with an app in it is two lines:
#
#   FROM taskpath:0.1.0
#   COPY app.py .
#
ARG PYTHON=3.11-slim-bookworm
ARG NODE=22-bookworm-slim

FROM node:${NODE} AS page
WORKDIR /source
COPY clients/react/src clients/react/src
COPY clients/page clients/page
WORKDIR /source/clients/page
RUN --mount=type=cache,target=/root/.npm npm ci --no-audit --no-fund && npm run build

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
RUN python -m venv /opt/taskpath
WORKDIR /source
COPY pyproject.toml constraints.txt ./
COPY proto proto
COPY shared shared
COPY services services
COPY tools tools
COPY --from=page /source/clients/page/dist services/taskpath_services/gateway/page
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/taskpath/bin/pip install --constraint constraints.txt ".[gateway,scheduler,executor,storage]"

FROM python:${PYTHON}
RUN groupadd --gid 10001 taskpath && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin taskpath
COPY --from=build /opt/taskpath /opt/taskpath
ENV PATH=/opt/taskpath/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
USER 10001:10001
ENTRYPOINT ["taskpath"]
CMD ["--help"]
