#!/bin/sh
# Build one image with buildah, without a daemon:  sh deploy/image.sh serve|pipeline|kubernetes
#   BASE, BUILD_BASE, SERVE_BASE   the images that deploy/Containerfile begins with, if not those that it names
#   WHEELS    a folder of wheels; by default they are fetched into build/wheels as pip is configured here, and
#             checked against the lock here and again inside
#   PYTHON    Python 3.11 with pip
set -eu
cd "$(dirname "$0")/.."
image=$1
case $image in serve) target=serve ;; *) target=pipeline ;; esac
wheels=${WHEELS:-$PWD/build/wheels}
if [ -z "${WHEELS:-}" ]; then
  for lock in build "$image"; do
    "${PYTHON:-python3}" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
      --only-binary :all: --requirement "deploy/locks/$lock.lock" --dest "$wheels"
  done
fi
set -- --build-arg "ENGINES=$image" --build-arg PIP_NO_INDEX=1 --build-arg PIP_FIND_LINKS=/wheels --volume "$wheels:/wheels:ro"
[ -z "${BASE:-}" ] || set -- "$@" --build-arg "BASE=$BASE"
[ -z "${BUILD_BASE:-}" ] || set -- "$@" --build-arg "BUILD_BASE=$BUILD_BASE"
[ -z "${SERVE_BASE:-}" ] || set -- "$@" --build-arg "SERVE_BASE=$SERVE_BASE"
# Docker's format, since the other one has no health check.
buildah build --isolation chroot --format docker --ignorefile deploy/Containerfile.dockerignore \
  --file deploy/Containerfile --target "$target" --tag "localhost/entropy-assets-$image" "$@" .
