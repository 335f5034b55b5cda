// Fetches the proof of each number on the page, checks it here in the browser, and says what held and what did not.
import { examine } from "./tlog.js";

const MARKS = { true: "\u2713", false: "\u2717" };
const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 60_000;
const CHECKING = "Checking in this browser \u2026";
const VERIFIED = "Proven: this browser has checked that the entry is in the signed log.";
const FAILED = "NOT proven: what is shown here is not what the log has signed.";
const NOT_SEALED = "Not in the signed log yet. It takes about a second; this page asks again by itself.";
const NO_CRYPTO =
  "Nothing was checked: browsers offer WebCrypto only to pages from https or from this machine itself (localhost).";

for (const section of document.querySelectorAll("[data-proof]")) check(section, FIRST_WAIT);

/** Check one, and set `data-proof-state`: checking, verified, failed, not-sealed or unavailable. */
async function check(section, wait) {
  if (!globalThis.crypto?.subtle) return show(section, "unavailable", NO_CRYPTO);
  if (wait === FIRST_WAIT) show(section, "checking", CHECKING);
  try {
    const answer = await fetch(section.dataset.proofUrl, { cache: "no-store", redirect: "error" });
    if (answer.ok) return await showSteps(section, new Uint8Array(await answer.arrayBuffer()));
    const { type } = await answer.json().catch(() => ({})); // a proxy's page is no problem document
    if (type === "/problems/not-yet-sealed") {
      show(section, "not-sealed", NOT_SEALED);
      setTimeout(check, wait, section, Math.min(2 * wait, LONGEST_WAIT));
    } else if (type === "/problems/log-inconsistent") {
      // The service itself found the ledger at odds with its log, so it has no proof to give.
      const text = "There is no proof: the service finds that the ledger contradicts what its log has signed.";
      show(section, "failed", FAILED, [{ step: "proof", holds: false, text }]);
    } else {
      show(section, "unavailable", `Nothing was checked: the service answered ${answer.status} where a proof should be.`);
    }
  } catch (error) {
    show(section, "unavailable", `Nothing was checked: ${reason(error)}`);
  }
}

async function showSteps(section, proof) {
  const { entry, leafHash, number, verifierKey } = section.dataset;
  const steps = await examine({ entry, leafHash, number, proof, verifierKey });
  const proven = steps.every(({ holds }) => holds);
  show(section, proven ? "verified" : "failed", proven ? VERIFIED : FAILED, steps);
}

function show(section, state, text, steps = []) {
  section.dataset.proofState = state;
  const status = section.querySelector("[data-proof-status]");
  if (status.textContent !== text) status.textContent = text; // a screen reader would say it again
  section.querySelector("[data-proof-steps]").replaceChildren(...steps.map(item));
}

function item({ step, holds, text }) {
  const line = document.createElement("li");
  line.dataset.step = step;
  line.dataset.holds = holds;
  line.textContent = `${MARKS[holds]} ${text}`;
  return line;
}

function reason(error) {
  if (error.name === "NotSupportedError") {
    return "this browser can't verify Ed25519 signatures. Chromium 137, Firefox 129, Safari 17 and later can.";
  }
  return error instanceof TypeError ? "the proof could not be fetched. Reload the page to try again." : String(error);
}
