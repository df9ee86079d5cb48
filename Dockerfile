# The two commands in a container:
#   docker build -t mae-book .  &&  docker run --rm -p 8000:8000 mae-book make serve HOST=0.0.0.0
FROM python:3.12-slim
# Debian keeps one version of a package: one that is pinned could no longer be installed after its next update.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends git make gcc g++ chromium && rm -rf /var/lib/apt/lists/*
WORKDIR /book
COPY . .
ARG PRESET=book
ARG TORCH=cpu
RUN make book PRESET=$PRESET TORCH=$TORCH
EXPOSE 8000
CMD ["make", "serve", "HOST=0.0.0.0"]
