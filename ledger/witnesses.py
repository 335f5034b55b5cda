"""Has witnesses cosign what is published, every few seconds and beside the sealer, which never waits for them.

One round takes the newest published checkpoint, proves to each witness that it goes on from what that one cosigned
last, and keeps the cosignatures. It has a session of its own, for as long as the round lasts.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from ledger import log
from ledger.domain import merkle, note, tiles
from ledger.domain.cosignature import Cosignature, Policy, WitnessKey
from ledger.domain.merkle import ProofError, Range
from ledger.domain.note import Checkpoint, NoteError, VerifierKey
from ledger.domain.witnessing import Contradicted, Elsewhere, Question, Refused, meaning
from ledger.log import Connection, LogError, State
from ledger.publication import Publication, PublicationError
from ledger.witnessed import Watch

_LAST = "SELECT witness, size FROM witness WHERE witness = ANY(%s)"
_KEEP = """
    INSERT INTO cosignature (size, root, signature, witness, cosigned_at, cosignature)
    VALUES (%s, %b, %b, %s, %s, %b) ON CONFLICT DO NOTHING"""
_NOTE_DOWN = """
    INSERT INTO witness AS w (witness, answered_at, asked, failed, size, trouble, alarm)
    VALUES (%(witness)s, CASE WHEN %(trouble)s::text IS NULL THEN clock_timestamp() END, 1,
            (%(trouble)s::text IS NOT NULL)::int, %(size)s, %(trouble)s, %(alarm)s)
        ON CONFLICT (witness) DO UPDATE
       SET asked_at = clock_timestamp(), asked = w.asked + 1, failed = w.failed + excluded.failed,
           answered_at = coalesce(excluded.answered_at, w.answered_at), trouble = excluded.trouble,
           size = CASE WHEN excluded.trouble IS NULL THEN excluded.size ELSE w.size END,
           alarm = CASE WHEN excluded.trouble IS NULL THEN NULL ELSE coalesce(excluded.alarm, w.alarm) END"""

if TYPE_CHECKING:
    from ledger.witness_http import Asker

type Session = Callable[[], AbstractContextManager[Connection]]
"""Opens a session in autocommit and in the sealer's role."""
type Outcome = Cosignature | Elsewhere | Refused | Contradicted

logger = logging.getLogger(__name__)


class Witnesses(NamedTuple):
    """Whom to ask, and where: the submission prefix of each witness, in the order of the policy's keys."""

    policy: Policy
    addresses: tuple[str, ...]
    pace: float
    """Seconds from one round to the next, at least."""


class Rounds:
    """Rounds of questions, one after the other."""

    def __init__(self, witnesses: Witnesses, key: VerifierKey, place: Publication, asker: "Asker") -> None:
        self._witnesses = witnesses
        self._key = key
        self._place = place
        self._asker = asker
        self._watch = Watch(lasts=0.0)
        self._said: dict[str, str] = {}  # by the witness's name, or "" of the round itself
        self._placed: str | None = None

    def run(self, session: Session, done: threading.Event) -> None:
        """Go on until ``done`` is set; whatever goes wrong is said once, and tried again."""
        while True:
            try:
                with session() as connection:
                    self.round(connection)
                self._say("", logging.INFO, "")
            except (LogError, NoteError, ProofError, ValueError) as error:
                self._say("", logging.CRITICAL, f"Witnesses are not asked: {error} See `manage.py verify_ledger`.")
            except PublicationError as error:
                self._say("", logging.ERROR, f"What witnesses cosigned is not published: {error}")
            except Exception as error:  # noqa: BLE001  # the database is away, or whatever: the next round must come
                self._say("", logging.WARNING, f"Witnesses are not asked: {str(error).strip()}")
            if done.wait(self._witnesses.pace):
                return

    def round(self, connection: Connection) -> None:
        """Ask those who have not cosigned the newest checkpoint, keep what they say, and publish it.

        Args:
            connection: in autocommit and the sealer's role; no transaction is open while witnesses are waited for.

        Raises:
            LogError, NoteError, ProofError: state, tiles and signature don't fit together; nothing was asked.
            PublicationError: the witnessed checkpoint could not be written; the cosignatures are kept.
            psycopg.Error: the database failed.
        """
        state = log.read_state(connection)
        if state.published_signature is None:
            return
        self._ask(connection, state, state.published_signature)
        witnessed = self._watch.newest(connection, self._key, self._witnesses.policy)
        if witnessed is not None and witnessed.note != self._placed:
            self._place.write_witnessed(witnessed.note)
            self._placed = witnessed.note

    def _ask(self, connection: Connection, state: State, signature: bytes) -> None:
        tree = state.published(self._key.name)
        self._key.verify(tree.text, signature)
        keys = {str(key): key for key in self._witnesses.policy.keys}
        last: dict[str, int] = dict(connection.execute(_LAST, [list(keys)]).fetchall())
        asked = {key: last.get(text, 0) for text, key in keys.items() if last.get(text, 0) < tree.size}
        signed = note.write(tree, self._key, signature)
        outcomes = self._outcomes(connection, tree, signed, asked)
        again = {key: each.size for key, each in outcomes.items() if isinstance(each, Elsewhere)}
        if again:
            # Another sealer may have published, and had it cosigned, since we looked.
            published = log.read_state(connection).published_size
            within = {key: size for key, size in again.items() if size <= tree.size}
            outcomes |= self._outcomes(connection, tree, signed, within)
            for key, size in again.items():
                if size > published:
                    outcomes[key] = Contradicted(
                        f"has cosigned {size} leaves of this log, but the database has published {published}: the "
                        "database was set back, or somebody else signs with LEDGER_KEY"
                    )
        for key, outcome in outcomes.items():
            if isinstance(outcome, Cosignature):
                row = [tree.size, tree.root, signature, str(key), outcome.timestamp, outcome.signature]
                connection.execute(_KEEP, row)
            self._note_down(connection, key, tree.size, outcome)

    def _outcomes(
        self, connection: Connection, tree: Checkpoint, signed: str, olds: Mapping[WitnessKey, int]
    ) -> dict[WitnessKey, Outcome]:
        """Ask each witness about the tree, from the size that it is thought to know."""
        questions = {key: Question(old, tree, signed, prove(connection, old, tree)) for key, old in olds.items()}
        addresses = dict(zip(self._witnesses.policy.keys, self._witnesses.addresses, strict=True))
        answers = self._asker.ask({addresses[key]: question.body for key, question in questions.items()})
        found: dict[WitnessKey, Outcome] = {}
        for key, question in questions.items():
            answer = answers[addresses[key]]
            found[key] = Refused(answer) if isinstance(answer, str) else meaning(question, answer, key)
        return found

    def _note_down(self, connection: Connection, key: WitnessKey, size: int, outcome: Outcome) -> None:
        trouble, alarm = None, None
        if isinstance(outcome, Contradicted):
            trouble = alarm = outcome.reason
            self._say(
                key.name, logging.CRITICAL, f"The witness {key.name} {alarm}. docs/operations.md says what to do."
            )
        elif isinstance(outcome, Cosignature):
            self._say(key.name, logging.INFO, "")
        else:
            trouble = outcome.reason if isinstance(outcome, Refused) else "was asked by somebody else meanwhile"
            self._say(key.name, logging.WARNING, f"The witness {key.name} {trouble}.")
        noted = {"witness": str(key), "size": 0 if trouble else size, "trouble": trouble, "alarm": alarm}
        connection.execute(_NOTE_DOWN, noted)

    def _say(self, about: str, level: int, message: str) -> None:
        """Log what is new about a witness; nothing is wrong if there is no message."""
        before = self._said.get(about, "")
        self._said[about] = message
        if message and message != before:
            logger.log(level, "%s", message)
        elif before and not message:
            logger.warning("%s", f"The witness {about} cosigns again." if about else "Witnesses are asked again.")


def prove(connection: Connection, old: int, tree: Checkpoint) -> Sequence[bytes]:
    """The proof that a published tree begins with its first ``old`` leaves, from the tiles; it was verified.

    Raises:
        LogError, ProofError: the tiles don't show that.
    """
    if old in {0, tree.size}:
        return ()
    path = merkle.consistency_path(old, tree.size)
    ranges = [Range(0, old), *path]
    before, *proof = tiles.hashes(ranges, log.read_tiles(connection, tiles.needed(ranges, tree.size)))
    merkle.verify_consistency(old, tree.size, before, tree.root, proof)
    return proof


@contextmanager
def asked(witnesses: Witnesses | None, session: Session, key: VerifierKey, place: Publication) -> Iterator[None]:
    """Have witnesses asked while the block runs; leaving it waits for nobody."""
    if witnesses is None:
        yield
        return
    from ledger.witness_http import Asker  # noqa: PLC0415  # HTTP and TLS, which nobody needs without witnesses

    done = threading.Event()
    rounds = Rounds(witnesses, key, place, Asker())
    threading.Thread(target=rounds.run, args=(session, done), name="witnesses", daemon=True).start()
    try:
        yield
    finally:
        done.set()
