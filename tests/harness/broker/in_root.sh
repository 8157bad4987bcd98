# Runs a program inside a root that scripts/prepare-brokers laid down, in mounts of its own: nothing is
# written to the root, so that any number of nodes run from it at once, and nothing is left mounted.
# $1 the root; $2 a folder that is in the same place inside and outside; then the program and its arguments.
set -e
root=$1 shared=$2
shift 2
inside=$root/mnt
mount -t tmpfs -o mode=755 inside "$inside"
for name in bin lib lib32 lib64 libx32 sbin; do
    if [ -L "$root/$name" ]; then cp -P "$root/$name" "$inside/$name"; fi
done
for name in usr etc; do
    mkdir "$inside/$name"
    mount --bind "$root/$name" "$inside/$name"
done
for name in proc dev; do
    mkdir "$inside/$name"
    mount --rbind "/$name" "$inside/$name"
done
mkdir -m 1777 "$inside/tmp"
mkdir -p "$inside$shared"
mount --bind "$shared" "$inside$shared"
cd /
exec chroot "$inside" "$@"
