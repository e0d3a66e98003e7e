# The image of the server. How to build and run it: docs/how-to/run-in-containers.md.
#
#   docker build --tag tlsbound .
#
# Both base images are named by a tag. To pin what you build from, pass their digests, which change with each of their updates:
#
#   docker buildx imagetools inspect node:24.21.0-bookworm-slim --format '{{.Manifest.Digest}}'
#   docker build --build-arg NODE_IMAGE=docker.io/library/node:24.21.0-bookworm-slim@sha256:… --build-arg BASE_IMAGE=…@sha256:… .

# The Node of the official image runs in both stages: npm's pinned Node is for contributors.
ARG NODE_IMAGE=docker.io/library/node:24.21.0-bookworm-slim
# The C and C++ libraries that Node needs, the certificates of public authorities and time zones. No shell, no package manager.
ARG BASE_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${NODE_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
COPY tools tools
# No script of a package runs, neither here nor below.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.ts scripts/
COPY src src
RUN npm run build
# Fastify is a peer, and so stays. The versions are those of the lock file.
RUN npm pkg delete devDependencies && npm install --omit=dev --ignore-scripts --offline --no-audit --no-fund
# /data belongs to the user of the server. The command is `tlsbound`, also in `docker exec`, which has no shell.
RUN mkdir -p /image/app /image/data /image/usr/local/bin \
  && mv package.json node_modules dist /image/app/ \
  && cp /usr/local/bin/node /image/usr/local/bin/ \
  && printf '#!/usr/local/bin/node --disable-sigusr1\nimport("/app/dist/cli/cli.js")\n' > /image/usr/local/bin/tlsbound \
  && chmod 0755 /image/usr/local/bin/tlsbound \
  && chown 65532:65532 /image/data

FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="tlsbound" \
  org.opencontainers.image.description="An OAuth 2.0 server whose tokens work only on the TLS connection and for the client certificate they were issued to." \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"
COPY --from=build /image /
COPY LICENSE /app/
# The address within the container. The ops listener stays on its loopback interface, where `tlsbound ready` finds it.
ENV NODE_ENV=production TLSBOUND_HOST=0.0.0.0 TLSBOUND_DATA_DIR=/data
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 8443
# The server handles SIGTERM as process 1: it answers the requests under way, for nine seconds at most.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 CMD ["/usr/local/bin/tlsbound", "ready"]
ENTRYPOINT ["/usr/local/bin/tlsbound"]
CMD ["serve"]
