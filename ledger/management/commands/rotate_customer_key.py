"""``manage.py rotate_customer_key``: begin a period of customers' pseudonyms, in two steps, each before a restart."""

import secrets
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ledger import customer_keys, rotation
from ledger.domain import customer_key
from ledger.domain.customer_key import Fact, Record, shown
from ledger.domain.tag import KEY_BYTES, KeyRing
from ledger.log import Connection


class Command(BaseCommand):
    """Makes a customer key known, and then used."""

    help = (
        "Begin a new customer key. First it is made known: events of others are found by it, none is tagged with it. "
        "When every instance knows it, --use has new events tagged with it. `make run` keeps the new keys; elsewhere "
        "the new value of CUSTOMER_TAG_KEYS, a secret, is all that is written to standard output: pipe it into the "
        "place that keeps your secrets. What to do next is written to standard error."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare ``--use``."""
        parser.add_argument("--use", action="store_true", help="tag new events with the key that was made known")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command."""
        with rotation.changing() as (ring, connection):
            for new in customer_key.check(ring, customer_keys.read(connection)):
                customer_keys.record(connection, *new)
            record = customer_keys.read(connection)
            waiting = [key_id for key_id in ring.fingerprints if self._waits(key_id, ring, record)]
            if options["use"]:
                self._use(ring, record, waiting)
            else:
                self._introduce(ring, record, waiting, connection)

    @staticmethod
    def _waits(key_id: int, ring: KeyRing, record: Record) -> bool:
        """Whether a key is newer than the one in use."""
        return key_id > ring.current and not record.has(key_id, Fact.RETIRED)

    def _introduce(self, ring: KeyRing, record: Record, waiting: list[int], connection: Connection) -> None:
        if waiting:  # again, or for another shard: the same value
            key_id, wider = waiting[0], ring
        else:
            key_id = record.next_id(ring)
            wider = ring.knowing(key_id, secrets.token_bytes(KEY_BYTES))
            customer_keys.record(connection, key_id, Fact.INTRODUCED, wider.fingerprints[key_id])
        self._hand_out(wider)
        self._say(
            f"Key {key_id} is made (fingerprint {shown(wider.fingerprints[key_id])}), and nothing is tagged with it "
            f"yet. Keep a copy of it where the other keys are. Restart {rotation.EVERYWHERE}; then run `manage.py "
            "rotate_customer_key --use`."
        )

    def _use(self, ring: KeyRing, record: Record, waiting: list[int]) -> None:
        if not waiting:
            raise CommandError(
                "No key in CUSTOMER_TAG_KEYS waits to be used. `manage.py rotate_customer_key` makes one; this command "
                "has to run with the settings that it gave."
            )
        key_id = max(waiting)
        rotation.refuse_while_older(key_id, Fact.INTRODUCED)
        self._hand_out(ring.using(key_id))
        self._say(
            f"With these CUSTOMER_TAG_KEYS new events are tagged with key {key_id}. Restart {rotation.EVERYWHERE}, one "
            f"after the other if you like. Keep key {ring.current}: earlier events are found by it. `manage.py "
            f"destroy_customer_key {ring.current}` ends its period, when that is due."
        )

    def _hand_out(self, ring: KeyRing) -> None:
        if rotation.kept(ring):
            return
        if self.stdout.isatty():
            self._say("This is a terminal, and what follows is secret: clear its history, or pipe it next time.")
        self.stdout.write(ring.setting)

    def _say(self, text: str) -> None:
        self.stderr.write(text, self.style.NOTICE)
