#!/bin/sh
# The bases of deploy/Containerfile from Debian's own packages, where no registry of images can be reached:
#   sh deploy/base.sh    makes localhost/entropy-assets-base, ...-build-base and ...-serve-base
# Needs root, mmdebstrap and buildah.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

debian() { # variant, packages, file
  mmdebstrap --quiet --variant="$1" --include="$2" --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-include=/usr/share/doc/*/copyright' bookworm "$3"
}

image() { # file, name
  container=$(buildah from scratch)
  buildah add --quiet "$container" "$1" / >/dev/null
  buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
  buildah commit --quiet --rm "$container" "$2" >/dev/null
}

debian minbase usr-is-merged,python3,ca-certificates "$folder/base.tar"
image "$folder/base.tar" localhost/entropy-assets-base
debian minbase usr-is-merged,python3,python3-venv,binutils "$folder/build.tar"
image "$folder/build.tar" localhost/entropy-assets-build-base
# Unpacked and not set up: there is no shell in it that could.
debian extract python3.11-minimal,libpython3.11-stdlib,libstdc++6,zlib1g,tzdata,netbase,base-files "$folder/serve.tar"
image "$folder/serve.tar" localhost/entropy-assets-serve-base
