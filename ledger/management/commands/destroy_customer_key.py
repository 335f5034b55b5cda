"""``manage.py destroy_customer_key``: end a period of customers' pseudonyms for ever, in two steps around a restart."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ledger import customer_keys, rotation
from ledger.domain.customer_key import Fact, Record, shown
from ledger.domain.tag import KeyRing
from ledger.log import Connection


class Command(BaseCommand):
    """Ends a customer key."""

    help = (
        "End a customer key, so that nobody can tell any more whose the events of its period are. First it is retired: "
        "the settings may lack it. When no instance has it any more, the same command again destroys it: the ledger "
        "refuses it from then on. Without --yes it says what is lost, and changes nothing. `make run` "
        "takes the key out of its secrets; elsewhere the new value of CUSTOMER_TAG_KEYS is written to standard output. "
        "All else is written to standard error."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the key and the confirmation."""
        parser.add_argument("key", type=int, help="the id of the key, which events have as `customer_key_id`")
        parser.add_argument("--yes", metavar="FINGERPRINT", help="do it; the fingerprint says that this key is meant")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command."""
        key_id: int = options["key"]
        with rotation.changing() as (ring, connection):
            record = customer_keys.read(connection)
            fact = _next(key_id, ring, record)
            fingerprint = record.fingerprints[key_id]
            if fact is Fact.DESTROYED:
                rotation.refuse_while_older(key_id, Fact.RETIRED)
            self._say(_loss(key_id, shown(fingerprint), connection))
            if options["yes"] is None:
                self._say(f"Nothing is changed. To go on: destroy_customer_key {key_id} --yes {shown(fingerprint)}")
                return
            if options["yes"] != shown(fingerprint):
                raise CommandError(f"Key {key_id} has another fingerprint. Nothing is changed.")
            if not record.has(key_id, fact):
                customer_keys.record(connection, key_id, fact, fingerprint)
            if fact is Fact.RETIRED:
                self._hand_out(ring, key_id)
            else:
                self._say(
                    f"Key {key_id} is destroyed as far as this service goes: it accepts neither the key nor its id "
                    "again. Destroy the copies now: in stores of secrets and their earlier versions, in backups of "
                    "settings and of DATA_DIR, on paper. As long as one is left, the period is not erased."
                )

    def _hand_out(self, ring: KeyRing, key_id: int) -> None:
        if key_id in ring.fingerprints:
            ring = ring.without(key_id)
            if not rotation.kept(ring):
                self.stdout.write(ring.setting)
        self._say(
            f"Key {key_id} is retired: CUSTOMER_TAG_KEYS need it no longer. Restart {rotation.EVERYWHERE} without it; "
            "from then on its period is not found. Then run this command again, with those settings, to destroy it."
        )

    def _say(self, text: str) -> None:
        self.stderr.write(text, self.style.NOTICE)


def _next(key_id: int, ring: KeyRing, record: Record) -> Fact:
    """What is to happen to the key now; raises CommandError where nothing may."""
    if key_id not in record.facts:
        raise CommandError(f"The ledger knows no key {key_id}; it knows {sorted(record.facts) or 'none yet'}.")
    if record.has(key_id, Fact.DESTROYED):
        raise CommandError(f"Key {key_id} is destroyed already.")
    if key_id == ring.current:
        raise CommandError(
            f"Key {key_id} is in use. Begin another first: `manage.py rotate_customer_key`, then with --use."
        )
    # Retired already and still in the settings: their new value may have been lost, so it is handed out again.
    return Fact.DESTROYED if record.has(key_id, Fact.RETIRED) and key_id not in ring.fingerprints else Fact.RETIRED


def _loss(key_id: int, fingerprint: str, connection: Connection) -> str:
    """What is lost with the key, in words."""
    period = customer_keys.period(connection, key_id)
    if period.first is None or period.last is None:
        return f"No event was tagged with key {key_id} (fingerprint {fingerprint})."
    return (
        f"{period.events:,} events were tagged with key {key_id} (fingerprint {fingerprint}), the first on "
        f"{period.first:%Y-%m-%d} and the last on {period.last:%Y-%m-%d %H:%M} UTC. Lost for ever: to find them by "
        "customer (look-ups of keys that are bound to one, lists, statistics, the console), and the Idempotency-Keys "
        "that were used under it alone; a retry of one would get another number. What stands: the numbers, their "
        "events and proofs, the log, the daily reports."
    )
