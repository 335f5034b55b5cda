// Hands claims to reports/static/console/tlog.js: JSON in, JSON out. node examine.mjs PATH_OF_TLOG_JS <claims
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const tlog = await import(pathToFileURL(process.argv[2]));
const bytes = (text) => Buffer.from(text, "base64");

const judges = {
  proof: ({ proof, ...claim }) => tlog.examine({ ...claim, proof: bytes(proof) }),
  async inclusion({ index, size, leaf, path, root }) {
    try {
      const given = { index: BigInt(index), size: BigInt(size), leaf: bytes(leaf), path: path.map(bytes), root: bytes(root) };
      await tlog.checkInclusion(given);
      return true;
    } catch (error) {
      if (!(error instanceof tlog.Refused)) throw error;
      return false;
    }
  },
  async key({ key }) {
    try {
      return (await tlog.readKey(key)).name;
    } catch (error) {
      if (!(error instanceof tlog.Refused)) throw error;
      return null;
    }
  },
};

const { kind, claims } = JSON.parse(readFileSync(0, "utf8"));
const verdicts = [];
for (const claim of claims) verdicts.push(await judges[kind](claim));
process.stdout.write(JSON.stringify(verdicts));
