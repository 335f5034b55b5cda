#!/bin/sh
# Archives one file of PostgreSQL's write-ahead log: whole and on the disk, or not at all, and never over another one.
#
#   archive_command = 'sh /etc/tracking/archive-wal.sh /var/backups/tracking/wal "%p" "%f"'
#
# PostgreSQL keeps the file and asks again until this ends with 0, so nothing is lost by what fails here; its log has the
# reason. Until it is mended the files pile up in pg_wal.
set -eu

[ $# -eq 3 ] || {
    echo "usage: archive-wal.sh FOLDER PATH NAME" >&2
    exit 2
}
folder=$1
from=$2
name=$3
to=$folder/$name
new=$folder/.$name.new

fail() {
    echo "$name is not archived: $1" >&2
    exit 1
}
[ -d "$folder" ] || fail "there is no folder $folder. Mount it."
if [ -e "$to" ]; then
    # It was archived, and the server died before it was told.
    cmp -s "$from" "$to" || fail "$to holds another one. Each cluster needs a folder of its own."
else
    cp "$from" "$new" || fail "it can't be copied."
    sync "$new" || fail "it can't be synced."
    ln "$new" "$to" || fail "it can't be put in place." # unlike mv, ln never replaces
    rm "$new"
fi
sync "$to" "$folder" || fail "it can't be synced."
