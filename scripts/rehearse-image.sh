#!/bin/sh
# Builds the Dockerfile and runs its image as docker-compose.yml says, on a Debian that has no container engine.
#
# For root, in a checkout where make has made .venv, whose PostgreSQL, Valkey and docker-compose are used:
#   apt-get install buildah mmdebstrap iproute2 openssl && sh scripts/rehearse-image.sh
#
# It differs from the real thing in this: the base image is Debian trixie with Debian's own Python 3.13, under the name that
# the Dockerfile asks for; and in place of an engine there are chroot, a read-only bind mount, setpriv and one network
# namespace. How the services are run then, and what is looked at: tests/support/drills/rehearsal.py.
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "$1" >&2
    exit 1
}
[ "$(id -u)" = 0 ] || fail "Only root can: it makes a root file system and changes into it."
for program in buildah mmdebstrap ip openssl setpriv unshare; do
    command -v "$program" >/dev/null ||
        fail "$program is missing. Debian: apt-get install buildah mmdebstrap iproute2 openssl util-linux"
done
[ -x .venv/bin/docker-compose ] || fail "There is no .venv here. Run make check first."
debian=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1)
[ -n "$debian" ] || fail "This machine has no package source of Debian's, or has not read it. Run apt-get update."

# What is mounted from here on is gone with the last process of it.
[ -n "${REHEARSING:-}" ] || exec unshare --mount --propagation private env REHEARSING=1 sh "$0"

work=$(mktemp -d /var/tmp/rehearsal.XXXXXX)
chmod 755 "$work" # PostgreSQL and the image's user have folders in it
trap 'umount --recursive --lazy "$work/root" 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

began=$(date +%s)
say() {
    printf '%4d s  %s\n' $(($(date +%s) - began)) "$1"
}
quietly() {
    "$@" >"$work/log" 2>&1 || fail "$(tail -n 40 "$work/log")
This failed: $*"
}
images() {
    verb=$1
    shift
    buildah --storage-driver vfs --root "$work/images" --runroot "$work/run" "$verb" "$@"
}

say "making the base image, from the package source that this machine has"
quietly mmdebstrap --variant=minbase --dpkgopt=force-unsafe-io --include=python3,python3-venv,ca-certificates \
    --customize-hook='ln -s /usr/bin/python3 "$1/usr/local/bin/python"' trixie "$work/base.tar" "$debian"
container=$(images from scratch)
quietly images add "$container" "$work/base.tar" /
quietly images config --env PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
for name in $(sed -n 's/^FROM \([^ ]*\).*/\1/p' Dockerfile | sort -u); do
    quietly images commit "$container" "docker.io/library/$name"
done
quietly images rm "$container"

# pip is told in the build what this machine's pip is told, and sees the files and folders that this names.
say "building the Dockerfile"
.venv/bin/python -m pip config list | LC_ALL=C sort | # the environment's first, which win
    sed -n "s/^[^.]*\.\([a-z-]*\)='\(.*\)'\$/\1 = \2/p" | sed 's/\\n/ /g' |
    awk -F ' = ' 'BEGIN { print "[global]" } !seen[$1]++' >"$work/pip.conf"
set -- --volume "$work/pip.conf:/etc/pip.conf:ro"
for place in $(sed -n 's/^[^=]* = //p' "$work/pip.conf"); do
    case $place in
        file:///*/*) place=$(dirname "${place#file://}") ;; # the files of an index are beside its pages
        /*) ;;
        *) continue ;;
    esac
    [ ! -e "$place" ] || set -- "$@" --volume "$place:$place:ro"
done
quietly images bud --isolation chroot --pull-never --format docker "$@" --tag tracking-authority .
image=$(images mount "$(images from --pull-never tracking-authority)")

tools=$(find "$image" -xdev \( -name 'gcc*' -o -name 'g++*' -o -name 'cc' -o -name 'pip' -o -name 'pip3*' \) -path '*bin/*')
[ -z "$tools" ] || fail "The image holds what compiles or installs: $tools"
images inspect --type image tracking-authority >"$work/image.json"
say "the image is there: $(du -sm "$image" | cut -f 1) MB, no compiler and no pip in it"

# Its root as a container has it: read-only, but for what docker-compose.yml mounts.
mkdir "$work/root" "$work/fence" "$work/project" "$work/project/scripts"
chown 10001 "$work/fence"
chmod 700 "$work/fence"
mount --bind "$image" "$work/root"
printf '127.0.0.1 localhost db valkey\n' >"$work/hosts"
[ -e "$image/etc/hosts" ] || : >"$image/etc/hosts"
mount --bind "$work/hosts" "$work/root/etc/hosts"
mount -o remount,ro,bind "$work/root"
mount -t tmpfs -o mode=1777 tmpfs "$work/root/tmp"
mount --bind "$work/fence" "$work/root/var/lib/tracking"
mount -t proc proc "$work/root/proc"
mount -t tmpfs -o mode=755 tmpfs "$work/root/dev"
for device in null zero random urandom; do
    : >"$work/root/dev/$device"
    mount --bind "/dev/$device" "$work/root/dev/$device"
done
mkdir -m 1777 "$work/root/dev/shm"

cp docker-compose.yml "$work/project"
cp scripts/make-env.sh "$work/project/scripts"
quietly sh "$work/project/scripts/make-env.sh" tracking.example
say "starting the services, each in the image's root, as 10001, without a capability"
unshare --net sh -c 'ip link set lo up && exec .venv/bin/python -m tests.support.drills.rehearsal "$1"' sh "$work"
say "rehearsed"
