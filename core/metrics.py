"""Every metric of the service, declared once; docs/operations.md's table is made from this.

Those of a process are counted where something happens, and Prometheus' library adds the processes of one machine up
(core.multiprocess). Readings are asked of the database when somebody scrapes, since sealing and counting run elsewhere.
"""

from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

PROCESS: Final = CollectorRegistry()
"""What this process counts, and nothing of what the library adds by itself."""

ISSUED: Final = Counter(
    "tracking_issued_total",
    "Numbers issued, each durable, by way: single or bulk. Replays of an Idempotency-Key are none.",
    ["way"],
    registry=PROCESS,
)
REFUSED: Final = Counter(
    "tracking_refused_total",
    "Requests and bulk calls that got no number, by the slug of the problem that they were answered with.",
    ["reason"],
    registry=PROCESS,
)
BATCH_SIZE: Final = Histogram(
    "tracking_batch_size",
    "Requests that one commit made durable together.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
    registry=PROCESS,
)
COMMIT_SECONDS: Final = Histogram(
    "tracking_commit_seconds",
    "Time from handing a batch to PostgreSQL to its word that it is durable.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=PROCESS,
)
WAIT_SECONDS: Final = Histogram(
    "tracking_wait_seconds",
    "Time from a request's arrival to its number, of the one in each batch that waited longest.",
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=PROCESS,
)
QUEUED: Final = Gauge(
    "tracking_queued_requests",
    "Requests that wait for a commit at present, in all web processes of the machine.",
    multiprocess_mode="livesum",
    registry=PROCESS,
)
PROCESSES: Final = Gauge(
    "tracking_web_processes", "Web processes that run.", multiprocess_mode="livesum", registry=PROCESS
)
ISSUING: Final = Gauge(
    "tracking_issuing_processes",
    "Web processes that hold serials and issue.",
    multiprocess_mode="livesum",
    registry=PROCESS,
)
LEASED: Final = Counter(
    "tracking_leased_blocks_total", "Blocks of 1,024 serials that web processes leased.", registry=PROCESS
)
SESSIONS_LOST: Final = Counter(
    "tracking_sessions_lost_total", "Database sessions that broke while a process issued over them.", registry=PROCESS
)
THROTTLED: Final = Counter(
    "tracking_throttled_total",
    "Requests and bulk calls refused since their caller's quota is used up.",
    registry=PROCESS,
)
UNTHROTTLED: Final = Counter(
    "tracking_unthrottled_total",
    "Requests and bulk calls served without being counted, since the throttle's Redis was away.",
    registry=PROCESS,
)
THROTTLE_AWAY: Final = Gauge(
    "tracking_throttle_away",
    "Web processes whose throttle has no Redis at present, and so limits nobody.",
    multiprocess_mode="livesum",
    registry=PROCESS,
)
HTTP_REQUESTS: Final = Counter(
    "tracking_http_requests_total",
    "Requests answered, by method, route and status. A route is a pattern, never a path.",
    ["method", "route", "status"],
    registry=PROCESS,
)
HTTP_SECONDS: Final = Histogram(
    "tracking_http_seconds",
    "Time to an answer's headers, by route; of issuing in the lane tracking_wait_seconds tells.",
    ["route"],
    buckets=(0.005, 0.025, 0.1, 0.5, 1, 5, 30),
    registry=PROCESS,
)


class Reading(NamedTuple):
    """A gauge that is read when it is asked for."""

    name: str
    documentation: str


UP: Final = Reading(
    "tracking_database_up", "1 if the database answered this scrape, 0 if not: then no reading below is there."
)
TREE_SIZE: Final = Reading("tracking_tree_leaves", "Leaves that are sealed.")
PUBLISHED: Final = Reading("tracking_published_leaves", "Leaves that the newest published checkpoint signs.")
WAITING: Final = Reading("tracking_unsealed_events", "Events that no leaf is made of yet, counted up to 10,000.")
SEALER_LAG: Final = Reading(
    "tracking_sealer_lag_seconds", "Age of the oldest event that no leaf is made of yet; 0 if there is none."
)
SEALERS: Final = Reading("tracking_active_sealers", "1 if some sealer holds the sealers' lock, else 0.")
CHECKPOINT_AGE: Final = Reading(
    "tracking_checkpoint_age_seconds",
    "Age of the newest number that the newest checkpoint signs. It grows, too, while nothing is issued.",
)
WITNESSES: Final = Reading(
    "tracking_witnesses", "Witnesses that are asked (WITNESSES); none of these if there are none."
)
WITNESSES_ANSWERING: Final = Reading(
    "tracking_witnesses_answering", "Witnesses that cosigned when they were asked last."
)
WITNESS_FAILURES: Final = Reading(
    "tracking_witness_failures",
    "Times that a witness was asked and did not cosign: away, slow, or refusing. It only grows.",
)
WITNESS_ALARMS: Final = Reading(
    "tracking_witness_alarms",
    "Witnesses that hold another history of this log against us, and have not cosigned since.",
)
WITNESSED: Final = Reading(
    "tracking_witnessed_leaves", "Leaves of the newest checkpoint that enough witnesses have cosigned."
)
WITNESS_LAG: Final = Reading(
    "tracking_witness_lag_seconds",
    "Age of the oldest published leaf that no witnessed checkpoint covers; 0 if there is none.",
)
WITNESSED_AGE: Final = Reading(
    "tracking_witnessed_age_seconds",
    "Time since the newest witnessed checkpoint was cosigned, by their clocks. It grows while nothing is issued.",
)
ROLLUP_LAG: Final = Reading("tracking_rollup_lag_leaves", "Leaves that are sealed and not counted for the reports yet.")
ROLLUP_LAG_SECONDS: Final = Reading(
    "tracking_rollup_lag_seconds", "Age of the oldest leaf that is not counted yet; 0 if there is none."
)
CHECK_AGE: Final = Reading("tracking_check_age_seconds", "Time since the newest nightly check; none before the first.")
CHECK_FAULTS: Final = Reading(
    "tracking_check_faults", "Ranges of leaves and days that nightly checks found wrong, and none right since."
)
SERIALS_USED: Final = Reading("tracking_serials_used", "Serials of this shard that are leased, whole blocks.")
SERIALS: Final = Reading("tracking_serials_capacity", "Serials that this shard has.")
SERIALS_LAST_DAY: Final = Reading("tracking_serials_last_day", "Serials that were leased within the last 24 hours.")
SERIALS_LEFT_SECONDS: Final = Reading(
    "tracking_serials_left_seconds", "Time until the shard's serials are used up, at the rate of the last 24 hours."
)
SERIALS_RUN_OUT: Final = Reading(
    "tracking_serials_run_out_timestamp_seconds",
    "When they are used up at the rate of the last 30 days, in Unix time; the end of the year 9999 if not before.",
)
ISSUED_SERIALS: Final = Reading(
    "tracking_serials_issued", "Leased serials that were issued, as the newest nightly accounting found it."
)
BURNED: Final = Reading(
    "tracking_serials_burned", "Those that never will be, since their writer passed them or is gone."
)
HELD: Final = Reading("tracking_serials_held", "Those that a writer which lived then may still issue.")
ACCOUNT_AGE: Final = Reading(
    "tracking_account_age_seconds", "Time since the newest nightly accounting; none before the first."
)
ACCOUNT_FAULTS: Final = Reading(
    "tracking_account_faults", "Events that it found where none was issued, or under another serial's number."
)
DATABASE_SIZE: Final = Reading("tracking_database_size_bytes", "What the database takes on its disk.")

READINGS: Final = tuple(value for value in list(globals().values()) if isinstance(value, Reading))


class Declared(NamedTuple):
    """What a scrape may hold: a metric by the name that queries use."""

    name: str
    kind: str
    documentation: str


def declared() -> list[Declared]:
    """All of them, in the order above."""
    counted = [
        Declared(f"{each.name}_total" if each.type == "counter" else each.name, each.type, each.documentation)
        for each in PROCESS.collect()
    ]
    return counted + [Declared(each.name, "gauge", each.documentation) for each in READINGS]
