#!/bin/sh
# Makes .env for docker-compose.yml: passwords, keys, and the host name that the service has. It needs openssl only.
# What it makes may never be made again once a number is out, so a file that is there stays.
set -eu
cd "$(dirname "$0")/.."
umask 077

fail() {
    echo "$1" >&2
    exit 1
}

host=${1:-}
case $host in
    '' | -* | .* | *[!A-Za-z0-9.-]*) fail "Say which host name the service has: sh scripts/make-env.sh tracking.example (or: localhost)" ;;
esac
command -v openssl >/dev/null || fail "openssl is missing. Debian: apt-get install openssl"
[ ! -e .env ] || fail ".env is there already. Keep it: its keys belong to the numbers that are out."

random() {
    openssl rand -hex 32
}

# The log's key, as golang.org/x/mod/sumdb/note writes it: name, the first 4 bytes of a SHA-256, and base64 of the type
# (1: Ed25519) and the 32 bytes that DER ends with, of the seed or of the public key.
log=$host/log
pem=$(openssl genpkey -algorithm ed25519) || fail "openssl can't make an Ed25519 key. It has to be OpenSSL 1.1.1 or newer."
seed() {
    printf '\001' && printf '%s\n' "$pem" | openssl pkey -outform DER | tail -c 32
}
public() {
    printf '\001' && printf '%s\n' "$pem" | openssl pkey -pubout -outform DER | tail -c 32
}
id=$({ printf '%s\n' "$log" && public; } | openssl dgst -sha256 -r | cut -c 1-8)
signer="PRIVATE+KEY+$log+$id+$(seed | openssl base64 -A)"
verifier="$log+$id+$(public | openssl base64 -A)"

# Over plain HTTP only where nobody listens in.
https=1
[ "$host" != localhost ] || https=0

# One a line: of several in one line, the shell would only notice that the last one failed.
owner=$(random)
serving=$(random)
sealing=$(random)
reporting=$(random)
valkey=$(random)
secret=$(random)
metrics=$(random)
number=$(random)
tag=$(random)

set -C # an .env that appeared meanwhile stays as well
cat >.env <<END
# Made by scripts/make-env.sh. Keep a copy where the database's backups are not.
ALLOWED_HOSTS=$host
HTTPS_ONLY=$https

# What PostgreSQL's logins prove themselves by.
DB_OWNER_PASSWORD=$owner
DB_SERVING_PASSWORD=$serving
DB_SEALING_PASSWORD=$sealing
DB_REPORTING_PASSWORD=$reporting

# The same for Valkey on Railway, which keeps the fence there. Compose's keeps nothing, and only the service reaches it.
VALKEY_PASSWORD=$valkey

# May change: console logins end, and whoever scrapes /metrics is told.
SECRET_KEY=$secret
METRICS_TOKEN=$metrics

# May never change once a number is out. New customers' keys are added behind the old ones, as 2:…
NUMBER_KEY=$number
CUSTOMER_TAG_KEYS=1:$tag

# The log's name and key: the sealers sign, everybody else verifies. Auditors are given the second.
LEDGER_KEY=$signer
LEDGER_VERIFIER_KEY=$verifier
END
echo "Made .env for $host. Keep a copy of it apart from the database's backups."
