"""PostgreSQL addresses, for Django and for sessions that Django does not manage."""

from typing import Any

from psycopg.conninfo import conninfo_to_dict

PRIMARY = "default"
"""Django's name for the database that issues, and for all that is written."""
REPLICA = "replica"
"""Its name for the one that may answer reads (core.replica)."""
OWNER_ROLE = "tracking_owner"
"""What owns the tables: only migrations act as it, and the rebuilding of reports."""
APPLICATION_ROLE = "tracking_app"
"""What every serving session is, whatever it logged in as: it may insert and read, never change."""
SEALER_ROLE = "tracking_sealer"
"""What the sealer is: it appends to the log, and reads."""
AUDITOR_ROLE = "tracking_auditor"
"""What reads, and does nothing else: auditors, and the coordinator of shards."""
REPORTER_ROLE = "tracking_reporter"
"""What counts the log for the reports: it reads the ledger, and writes what was counted."""


_IMPATIENT = {
    "application_name": "tracking-reads",
    "connect_timeout": 2,  # the least that libpq takes
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 5000,
}


def replica_database(url: str) -> dict[str, Any]:
    """That of a replica: one that has gone must cost a read some seconds at most, since the primary can be asked."""
    entry = django_database(url, role=APPLICATION_ROLE)
    return entry | {"OPTIONS": _IMPATIENT | entry["OPTIONS"]}


def django_database(url: str, *, role: str | None) -> dict[str, Any]:
    """One entry of Django's DATABASES from a libpq URL; ``role`` is taken on after the login."""
    parts = {name: value for name, value in conninfo_to_dict(url).items() if value is not None}
    options: dict[str, Any] = {
        name: value for name, value in parts.items() if name not in {"dbname", "user", "password", "host", "port"}
    }
    # Lets statements be prepared whose plan costs more than their execution. Django's own cursors prepare none.
    options["prepare_threshold"] = 5
    # PostgreSQL 18 compiles what it estimates to be dear, and for leaves that the roll-up has not reached it estimates
    # much where there are nearly always few. Compiling takes longer than any statement of ours.
    options["options"] = f"{options.get('options', '')} -c jit=off".strip()
    if role is not None:
        options["assume_role"] = role
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.get("dbname", "postgres"),
        "USER": parts.get("user", ""),
        "PASSWORD": parts.get("password", ""),
        "HOST": parts.get("host", ""),
        "PORT": str(parts.get("port", "")),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }
