// Checks offline proofs as ledger/domain/{merkle,note,proof}.py do, with nothing but the browser's own WebCrypto.
//
// c2sp.org/tlog-proof@v1, signed-note and tlog-checkpoint; RFC 6962 hashes, RFC 9162 inclusion, RFC 8032 signatures.
// Sizes and indices are BigInt: 2**63 leaves are allowed, and a Number is exact up to 2**53 only.

const HASH_BYTES = 32;
const ED25519 = 0x01;
const LONGEST_NOTE = 65_536;
const LONGEST_PATH = 63;
const HEADER = "c2sp.org/tlog-proof@v1";
const EXTRA = "extra ";
const DASH = "\u2014 ";
const NAME = /^[^\p{White_Space}+]{1,255}$/u;
const KEY = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/u;
const INDEX = /^index (0|[1-9][0-9]{0,18})$/;
const SIZE = /^(?:0|[1-9][0-9]{0,18})$/;
const CONTROL = /[\x00-\x09\x0b-\x1f]/;

/** What was checked does not hold; the message says why. Any other error means that nothing could be checked. */
export class Refused extends Error {}

/**
 * Check that an entry is in a log, step by step, each step as far as it can be without the others.
 *
 * @param {{entry: string, leafHash: string, number: string, proof: Uint8Array, verifierKey: string}} claim
 *   `entry`: the exact text of the leaf; `leafHash`: 64 hex digits; `number`: the one that the entry must be of;
 *   `proof`: the bytes of a tlog-proof; `verifierKey`: of the log, name+id+base64.
 * @returns {Promise<{step: string, holds: boolean, text: string}[]>} proven if all hold; a proof that can't be read
 *   has neither an inclusion nor a signature.
 */
export async function examine({ entry, leafHash, number, proof, verifierKey }) {
  const leaf = await hash(Uint8Array.of(0x00), utf8(entry));
  const steps = [await attempt("entry", () => checkEntry(entry, leaf, leafHash, number))];
  let read;
  const reading = await attempt("proof", () => {
    read = readProof(proof);
    return `The proof and its checkpoint are in the standard's form (${HEADER}).`;
  });
  if (!read) return [...steps, reading];
  const { index, path, checkpoint } = read;
  return [
    ...steps,
    reading,
    await attempt("inclusion", async () => {
      await checkInclusion({ index, size: checkpoint.size, leaf, path, root: checkpoint.root });
      return `The leaf is number ${index} of a tree of ${checkpoint.size} leaves, whose root the checkpoint states.`;
    }),
    await attempt("signature", async () => {
      const key = await readKey(verifierKey);
      await checkSignature(checkpoint, key);
      return `The checkpoint is signed by ${key.name}, key ${hex(key.id)}.`;
    }),
  ];
}

/** Check that a leaf is in a tree at an index (RFC 9162, section 2.1.3.2); Refused where it is not. */
export async function checkInclusion({ index, size, leaf, path, root }) {
  if (index < 0n || index >= size) throw new Refused(`A tree of ${size} leaves has no leaf ${index}.`);
  if ([leaf, ...path].some((each) => each.length !== HASH_BYTES)) throw new Refused("A hash has 32 bytes.");
  let [fn, sn, result] = [index, size - 1n, leaf];
  for (const sibling of path) {
    if (sn === 0n) throw new Refused("The inclusion proof is too long for the tree.");
    if (fn & 1n || fn === sn) {
      result = await hash(Uint8Array.of(0x01), sibling, result);
      while (fn && !(fn & 1n)) [fn, sn] = [fn >> 1n, sn >> 1n];
    } else {
      result = await hash(Uint8Array.of(0x01), result, sibling);
    }
    [fn, sn] = [fn >> 1n, sn >> 1n];
  }
  if (sn !== 0n) throw new Refused("The inclusion proof is too short for the tree.");
  if (!same(result, root)) {
    throw new Refused(`The leaf is not number ${index} of the tree of ${size} leaves that the checkpoint states.`);
  }
}

/** Take a proof apart; Refused where its form is not the standard's. Extra data, which no one vouches for, is passed over. */
export function readProof(bytes) {
  const text = utf8Text(bytes);
  const end = text.indexOf("\n\n");
  const lines = text.slice(0, Math.max(end, 0)).split("\n");
  if (text.length > 2 * LONGEST_NOTE || end < 0 || lines.shift() !== HEADER) {
    throw new Refused(`A proof begins with the line ${HEADER}, and has a blank line before its checkpoint.`);
  }
  if (lines[0]?.startsWith(EXTRA)) unbase64(lines.shift().slice(EXTRA.length));
  const index = INDEX.exec(lines.shift() ?? "");
  if (!index) throw new Refused("The proof has no line with the index of its leaf.");
  if (lines.length > LONGEST_PATH) throw new Refused("The inclusion proof is too long.");
  const path = lines.map((line) => unbase64(line, HASH_BYTES));
  return { index: BigInt(index[1]), path, checkpoint: readCheckpoint(text.slice(end + 2)) };
}

/** Read a verifier key, name+id+base64 of 0x01 and the public key; Refused where it is none. */
export async function readKey(text) {
  const [, name, id, encoded] = KEY.exec(text) ?? [];
  if (!name || !NAME.test(name)) throw new Refused("The log's verifier key is not of the form name+id+base64.");
  const typed = unbase64(encoded, 1 + HASH_BYTES);
  const right = (await hash(utf8(`${name}\n`), typed)).slice(0, 4);
  if (typed[0] !== ED25519 || hex(right) !== id) {
    throw new Refused("The log's verifier key was altered, or is not an Ed25519 key.");
  }
  return { name, id: right, public: typed.slice(1) };
}

/** Check that a log signed a checkpoint and that it is that log's; a wrong signature counts although a right one is beside. */
export async function checkSignature({ text, origin, signatures }, key) {
  const imported = await crypto.subtle.importKey("raw", key.public, { name: "Ed25519" }, false, ["verify"]);
  const ours = signatures.filter(({ name, id }) => name === key.name && same(id, key.id));
  if (!ours.length) throw new Refused(`The checkpoint is not signed by ${key.name}, key ${hex(key.id)}.`);
  for (const { signature } of ours) {
    if (!(await crypto.subtle.verify({ name: "Ed25519" }, imported, signature, utf8(text)))) {
      throw new Refused(`The signature of ${key.name} does not fit the checkpoint.`);
    }
  }
  if (origin !== key.name) throw new Refused(`The checkpoint is of the log ${origin}, but the key is that of ${key.name}.`);
}

function readCheckpoint(note) {
  const end = note.lastIndexOf("\n\n");
  if (note.length > LONGEST_NOTE || CONTROL.test(note) || end < 0 || !note.endsWith("\n")) {
    throw new Refused("A signed note is a text, a blank line, and lines with signatures.");
  }
  const lines = note.slice(0, end).split("\n");
  if (lines.length < 3 || !lines.every(Boolean) || !SIZE.test(lines[1])) {
    throw new Refused("A checkpoint has three lines or more: origin, size and root.");
  }
  const signatures = note.slice(end + 2, -1).split("\n").map(readSignature);
  const root = unbase64(lines[2], HASH_BYTES);
  return { text: note.slice(0, end + 1), origin: lines[0], size: BigInt(lines[1]), root, signatures };
}

function readSignature(line) {
  const [name, encoded, ...more] = line.startsWith(DASH) ? line.slice(DASH.length).split(" ") : [];
  const data = unbase64(encoded ?? "");
  if (!NAME.test(name) || more.length || data.length < 5) {
    throw new Refused("A line with a signature is a dash, a name, and base64 of key id and signature.");
  }
  return { name, id: data.slice(0, 4), signature: data.slice(4) };
}

function checkEntry(entry, leaf, leafHash, number) {
  if (hex(leaf) !== leafHash) throw new Refused("The leaf hash is not that of the entry (SHA-256 of 0x00 and the entry).");
  let named;
  try {
    named = JSON.parse(entry).number;
  } catch {
    throw new Refused("The entry is not a JSON object.");
  }
  if (named !== number) throw new Refused(`The entry is of another number than ${number}.`);
  return `The leaf hash is SHA-256 of 0x00 and the entry, and the entry is that of ${number}.`;
}

async function attempt(step, check) {
  try {
    return { step, holds: true, text: await check() };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { step, holds: false, text: error.message };
  }
}

async function hash(...parts) {
  const joined = Uint8Array.from(parts.flatMap((part) => [...part]));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", joined));
}

const utf8 = (text) => new TextEncoder().encode(text);
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const same = (one, other) => hex(one) === hex(other);

function utf8Text(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Refused("The proof is not UTF-8.");
  }
}

/** Standard base64 with padding, in its one canonical form: atob alone lets spaces through, and padding be left out. */
function unbase64(text, length) {
  let data = "";
  try {
    data = atob(text);
  } catch {
    // Not base64 at all, so the comparison just below fails.
  }
  if (btoa(data) !== text || (length !== undefined && data.length !== length)) {
    throw new Refused(`What should be base64${length ? ` of ${length} bytes` : ""} is not.`);
  }
  return Uint8Array.from(data, (character) => character.charCodeAt(0));
}
