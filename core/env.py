"""The settings that an operator gives: the only reader of ``os.environ``, typed."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

Secret = Annotated[str, Meta(min_length=32)]
HexKey = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
KeyRing = Annotated[str, Meta(pattern="^[1-9][0-9]{0,3}:[0-9a-f]{64}(,[1-9][0-9]{0,3}:[0-9a-f]{64})*$")]
LedgerKey = Annotated[str, Meta(pattern=r"^(PRIVATE\+KEY\+)?[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}$")]
TimeZone = Annotated[str, Meta(pattern="^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$")]
Port = Annotated[int, Meta(ge=1, le=65535)]
Processes = Annotated[int, Meta(ge=1, le=64)]
Limit = Annotated[int, Meta(ge=0, le=100_000_000)]
Endpoint = Annotated[str, Meta(pattern="^https?://[^\\s?#]+$")]
_BUCKET = "s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
# A path holds no colon, so that a mistyped address is not taken for one.
FencePlace = Annotated[str, Meta(pattern=rf"^([^:]+|rediss?://\S+|{_BUCKET}(/[A-Za-z0-9_.-]+)+)$")]
PublicationPlace = Annotated[str, Meta(pattern=rf"^([^:]+|{_BUCKET}(/[A-Za-z0-9_.-]+)*/?)$")]
AccessKey = Annotated[str, Meta(pattern=r"^[!-~]+$")]
_NOTE_KEY = r"[^\s+,@]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}"
_WITNESS = rf"{_NOTE_KEY}@https?://[^\s,@?#]+"
WitnessList = Annotated[str, Meta(pattern=rf"^{_WITNESS}(,{_WITNESS})*$")]
Region = Annotated[str, Meta(pattern="^[a-z0-9-]+$")]


class SettingsError(Exception):
    """A setting is missing or wrong; the message names it and says what to do."""


def _upper(name: str) -> str:
    return name.upper()


class Env(msgspec.Struct, frozen=True, kw_only=True, rename=_upper):
    """Every setting, its type, its default and what it is for; README.md's table is made from this."""

    data_dir: Annotated[Path, Meta(description="Folder of all that `make run` keeps: database, secrets, fence.")] = (
        Path(".data")
    )
    host: Annotated[str, Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="Port to listen on.")] = 8000
    database_url: Annotated[
        str | None,
        Meta(description="PostgreSQL that serves, as `postgresql://…`. Unset: the one that `make run` starts."),
    ] = None
    database_owner_url: Annotated[
        str | None, Meta(description="Login that migrates and may create roles. Unset: `DATABASE_URL`.")
    ] = None

    database_sealer_url: Annotated[
        str | None, Meta(description="Login of the sealer, a member of `tracking_sealer`. Unset: `DATABASE_URL`.")
    ] = None

    database_reporter_url: Annotated[
        str | None,
        Meta(description="Login of the reports' workers, a member of `tracking_reporter`. Unset: `DATABASE_URL`."),
    ] = None
    database_replica_url: Annotated[
        str | None,
        Meta(description="A streaming replica that answers reads; what it lacks is asked of `DATABASE_URL`."),
    ] = None
    redis_url: Annotated[
        str | None,
        Meta(description="Redis or Valkey of the workers and the throttle, as `redis://…`. Unset: `make run`'s own."),
    ] = None

    secret_key: Annotated[Secret | None, Meta(description="Django's signing key, 32 characters or more.")] = None
    number_key: Annotated[
        HexKey | None, Meta(description="Hides the order of numbers, 64 hex digits. May never change once one is out.")
    ] = None
    customer_tag_keys: Annotated[
        KeyRing | None,
        Meta(description="Keys of the customers' pseudonyms, `id:64 hex digits,…`; the last serves new events."),
    ] = None

    ledger_key: Annotated[
        LedgerKey | None,
        Meta(
            description="The log's Ed25519 key, made by `DATABASE_URL= manage.py ledger_key --make <name>`; the sealer "
            "signs with it. Others need only its verifier key, which `manage.py ledger_key` prints."
        ),
    ] = None

    shard: Annotated[
        Annotated[int, Meta(ge=0, le=31)], Meta(description="Which of 32 independent databases this one is.")
    ] = 0
    coordinator: Annotated[
        bool,
        Meta(
            description="`1`: `DATABASE_URL` is the coordinator of shards, made by `manage.py coordinate_shards`. The "
            "instance answers reads of all of them, and issues nothing."
        ),
    ] = False
    fence: Annotated[
        FencePlace | None,
        Meta(
            description="What holds the highest block ever leased: a file, `redis://…` or `rediss://…`, or "
            "`s3://bucket/key`; keep it off the database's volume."
        ),
    ] = None
    publication: Annotated[
        PublicationPlace | None,
        Meta(
            description="What holds the log outside the database: a folder, or `s3://bucket/prefix`; keep it off the "
            "database's volume, too."
        ),
    ] = None
    publication_seconds: Annotated[
        Annotated[float, Meta(ge=0.1, le=5)] | None,
        Meta(
            description="Seconds from one publication to the next, at least. Unset: 0.25 in a folder, and 1 in a "
            "bucket, where each costs some requests."
        ),
    ] = None
    aws_access_key_id: Annotated[
        AccessKey | None, Meta(description="Key of the store that `s3://…` leads to, which need not be Amazon's.")
    ] = None
    aws_secret_access_key: Annotated[AccessKey | None, Meta(description="Its secret.")] = None
    aws_region: Annotated[
        Region, Meta(description="Its region; most stores but Amazon's take any, or want `auto`.")
    ] = "us-east-1"
    aws_endpoint_url_s3: Annotated[
        Endpoint | None, Meta(description="Its address, as `https://…`. Unset: Amazon's for the region.")
    ] = None
    aws_s3_addressing_style: Annotated[
        Annotated[str, Meta(pattern="^(auto|path|virtual)$")],
        Meta(description="`virtual` names the bucket in the address's host, as Railway's want it, `path` in its path."),
    ] = "auto"
    log_access: Annotated[
        Annotated[str, Meta(pattern="^(public|auditors)$")],
        Meta(description="`auditors` closes checkpoint and tiles to whoever has no key with the scope `audit`."),
    ] = "public"

    witnesses: Annotated[
        WitnessList | None,
        Meta(
            description="Witnesses (c2sp.org/tlog-witness) that cosign the log, `verifier key@https://…,…`: each one's "
            "key, and its address before `/add-checkpoint`. Sealers ask them, web processes serve what they said."
        ),
    ] = None
    witness_quorum: Annotated[
        Annotated[int, Meta(ge=1, le=16)] | None,
        Meta(description="How many of them make a checkpoint a witnessed one. Unset: more than half."),
    ] = None
    witness_seconds: Annotated[
        Annotated[float, Meta(ge=0.1, le=3600)],
        Meta(description="Seconds from asking them to asking them again, at least."),
    ] = 10.0

    report_time_zone: Annotated[
        TimeZone,
        Meta(
            description="Whose days the reports count, as `Europe/Paris`. It may change until a day is closed, by "
            "`manage.py rebuild_reports`."
        ),
    ] = "UTC"
    report_grace: Annotated[
        Annotated[int, Meta(ge=0, le=86_400)],
        Meta(description="Seconds after midnight before a day's report is written for good."),
    ] = 900
    issuance_requires_key: Annotated[bool, Meta(description="`1` closes issuing to callers without an API key.")] = (
        False
    )
    throttle_per_address: Annotated[
        Limit,
        Meta(description="Numbers a minute for one address without an API key, `0`: no limit. Needs `REDIS_URL`."),
    ] = 0
    throttle_per_key: Annotated[
        Limit, Meta(description="Numbers a minute for one API key, `0`: no limit. Needs `REDIS_URL`.")
    ] = 0
    wrong_keys_per_address: Annotated[
        Limit,
        Meta(description="Wrong API keys a minute that one address may present, on whatever path; `0`: no limit."),
    ] = 20
    trusted_proxies: Annotated[
        Annotated[int, Meta(ge=0, le=8)],
        Meta(description="Proxies in front whose `X-Forwarded-For` is believed; `0`: the connection's address counts."),
    ] = 0
    queue_limit: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000)],
        Meta(description="Requests of one process that may wait for a commit; more get 503 at once."),
    ] = 4096
    deadline: Annotated[
        Annotated[float, Meta(gt=0, le=300)],
        Meta(description="Seconds that a request waits for its commit before it gets 503."),
    ] = 10.0
    drain_seconds: Annotated[
        Annotated[float, Meta(ge=0, le=60)] | None,
        Meta(
            description="Seconds that a stopping web process still serves while `/readyz` says no, so that proxies "
            "turn to another. Unset: 5, but 0 under `make run`."
        ),
    ] = None
    allow_unsafe_database: Annotated[
        bool, Meta(description="`1` issues from a PostgreSQL that runs with fsync off. For tests.")
    ] = False

    allowed_hosts: Annotated[str, Meta(description="Host names served, comma-separated.")] = "localhost,127.0.0.1,[::1]"
    https_only: Annotated[
        bool | None, Meta(description="`0` serves plain HTTP. Unset: HTTPS only, except under `make run`.")
    ] = None
    web_concurrency: Annotated[
        Processes | None, Meta(description="Web processes. Unset: one per core, two at least.")
    ] = None
    debug: Annotated[bool, Meta(description="`1` shows Django's debug pages. Refused in production.")] = False
    metrics_token: Annotated[
        Secret | None,
        Meta(
            description="Bearer token that opens `/metrics`, 32 characters or more; an API key with the scope "
            "`operate` opens it too, as long as the database is there."
        ),
    ] = None
    otel_exporter_otlp_endpoint: Annotated[
        Endpoint | None,
        Meta(description="OpenTelemetry collector that gets traces by OTLP over HTTP. Unset: nothing is traced."),
    ] = None
    log_format: Annotated[
        Annotated[str, Meta(pattern="^(json|text)$")] | None,
        Meta(description="`json` or `text`. Unset: JSON, but text under `make run`."),
    ] = None
    log_level: Annotated[
        Annotated[str, Meta(pattern="^(DEBUG|INFO|WARNING|ERROR)$")],
        Meta(description="DEBUG, INFO, WARNING or ERROR."),
    ] = "INFO"

    @property
    def embedded(self) -> bool:
        """Whether the database is the one that `make run` starts."""
        return self.database_url is None

    @property
    def log_lines(self) -> str:
        """How log lines look: ``json`` or ``text``."""
        return self.log_format or ("text" if self.embedded else "json")

    @property
    def draining(self) -> float:
        """Seconds that a stopping web process still serves."""
        if self.drain_seconds is not None:
            return self.drain_seconds
        return 0.0 if self.embedded else 5.0


def load(environ: Mapping[str, str] | None = None) -> Env:
    """Read the settings; an empty value counts as unset.

    Raises:
        SettingsError: a value does not fit its setting.
    """
    given = {name: value for name, value in (os.environ if environ is None else environ).items() if value}
    try:
        return msgspec.convert(given, Env, strict=False, dec_hook=lambda kind, value: kind(value))
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$.")
        raise SettingsError(f"Setting {where.rstrip('`')}: {reason}. README.md lists the settings.") from None
