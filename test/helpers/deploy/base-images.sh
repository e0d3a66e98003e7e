#!/bin/bash
# Lays out stand-ins for the base images of Dockerfile from this machine's Debian packages, since no registry of images can be
# reached: FOLDER/node for the build, FOLDER/cc for the server. Arguments: FOLDER, a Node binary, and the folder of npm.
set -euo pipefail

lay_out() {
  local root=$1
  shift
  mkdir -p "$root"/usr/{bin,sbin,lib,lib64} "$root/etc" "$root/tmp"
  chmod 1777 "$root/tmp"
  for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
  # Packages of Debian 12 have files in /bin and /lib, which are links to /usr.
  dpkg -L "$@" | grep '^/' | sort -u | grep -vE '^/usr/share/(doc|man|locale|info|lintian)/' |
    while read -r path; do if [ -f "$path" ] || [ -L "$path" ]; then echo "$path"; fi; done |
    grep -vE '^/(bin|sbin|lib|lib64)$' |
    tar -C / -c --transform='flags=rSh;s,^/*\(bin\|sbin\|lib\|lib64\)/,usr/\1/,' --files-from=- 2>/dev/null | tar -C "$root" -x
}

lay_out "$1/cc" base-files libc6 libgcc-s1 libstdc++6 gcc-12-base netbase
lay_out "$1/node" base-files libc6 libgcc-s1 libstdc++6 dash coreutils libacl1 libattr1 libselinux1 libgmp10 libpcre2-8-0
mkdir -p "$1/node/usr/local/bin" "$1/node/usr/local/lib/node_modules"
cp "$2" "$1/node/usr/local/bin/node"
cp -a "$3" "$1/node/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$1/node/usr/local/bin/npm"
