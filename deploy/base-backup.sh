#!/bin/sh
# Takes a base backup, verifies it, and lets go of older ones and of the archived log that only they need.
#
#   sh base-backup.sh FOLDER [KEEP]    # FOLDER/base/<when it began>, FOLDER/wal; 2 backups are kept unless said
#
# It runs where PostgreSQL 18's programs are, as a login with REPLICATION; libpq's variables say which server (PGHOST,
# PGUSER, PGPASSFILE …). A backup has its name only once it is whole, on the disk and verified.
set -eu
umask 077

fail() {
    echo "No backup was taken: $1" >&2
    exit 1
}
[ $# -ge 1 ] || fail "say where to: sh base-backup.sh FOLDER [KEEP]"
folder=$1
keep=${2:-2}
case $keep in
    '' | 0* | *[!0-9]*) fail "$keep is not how many backups to keep. One at least." ;;
esac
[ -d "$folder/wal" ] || fail "there is no folder $folder/wal, where the log is archived. Make it, or mount it."
mkdir -p "$folder/base"
cd "$folder/base"
rm -rf ./*.new ./*.old # what an earlier run was killed over

name=$(date -u +%Y%m%dT%H%M%SZ)
[ ! -e "$name" ] || fail "one was taken this very second."
pg_basebackup --no-password --pgdata="$name.new" --checkpoint=fast --label="$name" || fail "pg_basebackup says why."
pg_verifybackup --quiet "$name.new" || fail "pg_verifybackup found it damaged."
mv "$name.new" "$name"
sync .
echo "Took $folder/base/$name."

# By name, which is by age. Renamed first: what has a backup's name is whole.
ls -d ./*Z | sort -r | tail -n +$((keep + 1)) | while read -r old; do
    mv "$old" "$old.old"
    rm -rf "$old.old"
    echo "Removed $old."
done
oldest=$(ls -d ./*Z | sort | head -n 1)
needed=$(sed -n 's/^START WAL LOCATION: .*(file \([0-9A-F]\{24\}\)).*/\1/p' "$oldest/backup_label")
pg_archivecleanup "$folder/wal" "$needed"
