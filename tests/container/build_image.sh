#!/usr/bin/env bash
# Builds the stand-in's image: on a public Python image or, if no registry is reachable, on the same
# Python from Debian 12's packages.
set -euo pipefail
# shellcheck source=scripts/lib/common.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../../scripts/lib/common.sh"

PUBLIC_BASE=python:3.11-slim-bookworm
DEBIAN_BASE=aws-contact-sync-python:3.11
DEBIAN_PACKAGES="libc6 libgcc-s1 libstdc++6 zlib1g libexpat1 libssl3 libffi8 libbz2-1.0 liblzma5
  libsqlite3-0 libuuid1 libncursesw6 libtinfo6 libreadline8 libcrypt1 libnsl2 libtirpc3
  libgssapi-krb5-2 libkrb5-3 libk5crypto3 libkrb5support0 libcom-err2 libkeyutils1 libdb5.3
  python3.11 python3.11-minimal libpython3.11-minimal libpython3.11-stdlib media-types netbase
  ca-certificates busybox-static"

usage() {
  cat <<'USAGE'
Usage: tests/container/build_image.sh [NAME:TAG]

Builds the stand-in's image (default: aws-contact-sync-standin:latest). Needs a Docker engine.
USAGE
}

main() {
  case "${1:-}" in
  -h | --help)
    usage
    return
    ;;
  esac
  local image="${1:-aws-contact-sync-standin:latest}" base="$PUBLIC_BASE"
  WORK=$(mktemp -d)
  trap 'rm -rf "$WORK"' EXIT
  docker image inspect "$base" >/dev/null 2>&1 || docker pull --quiet "$base" >/dev/null 2>&1 || {
    log "Cannot pull $base; using Debian's packages"
    base="$DEBIAN_BASE"
    docker image inspect "$base" >/dev/null 2>&1 || import_debian_base
  }
  make_context "$WORK/context"
  # The classic builder also finds a base image that exists only locally.
  DOCKER_BUILDKIT=0 docker build --quiet --build-arg "BASE=$base" --tag "$image" \
    --file "$REPOSITORY/tests/container/Dockerfile" "$WORK/context" >/dev/null
  log "Built $image on $base"
}

# Installs the dependencies for the image's Python and machine, not for the local ones.
make_context() {
  local machine
  case "$(docker version --format '{{.Server.Arch}}')" in
  arm64) machine=aarch64 ;;
  *) machine=x86_64 ;;
  esac
  mkdir -p "$1"
  "${PYTHON:-$REPOSITORY/.venv/bin/python}" -m pip install --quiet --disable-pip-version-check \
    --no-compile --target "$1/site-packages" --group "$REPOSITORY/pyproject.toml:standin" \
    --only-binary :all: --python-version 3.11 --platform "manylinux2014_$machine"
  (cd "$REPOSITORY/scripts" && tar -c --exclude __pycache__ standin) | tar -x -C "$1"
}

import_debian_base() {
  local root="$WORK/root" folder package
  mkdir -p "$WORK/packages" "$root/usr/local/bin" "$root/usr/local/lib/python3.11"
  mkdir -p "$root/tmp" "$root/usr/local/lib/python3.11/site-packages"
  chmod 1777 "$root/tmp"
  for folder in bin sbin lib lib64; do
    mkdir -p "$root/usr/$folder"
    ln -s "usr/$folder" "$root/$folder"
  done
  (cd "$WORK/packages" && download_packages) || die "apt-get download failed: is this Debian 12?"
  for package in "$WORK"/packages/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$root" --keep-directory-symlink
  done
  ln -s /usr/bin/python3.11 "$root/usr/local/bin/python3"
  ln -s site-packages "$root/usr/local/lib/python3.11/dist-packages"
  ln -s busybox "$root/bin/sh"
  tar -c -C "$root" . | docker import - "$DEBIAN_BASE" >/dev/null
}

# Splits the package names at spaces. An old package list may name files that no longer exist.
download_packages() {
  # shellcheck disable=SC2086
  apt-get download -qq $DEBIAN_PACKAGES 2>/dev/null ||
    { apt-get update -qq && apt-get download -qq $DEBIAN_PACKAGES; }
}

main "$@"
