// Issue a number, and read what the log has of it.
import assert from "node:assert/strict";
import { client, order, proofOf } from "./client.js";

async function issue(): Promise<string> {
  const { data, error } = await client.GET("/next-tracking-number", {
    params: { query: order, header: { "Idempotency-Key": "typescript-1" } },
  });
  if (error) throw new Error(error.detail);
  assert.equal(data.origin_country_id, "MY");
  assert.equal(data.links.proof, `/v1/tracking-numbers/${data.tracking_number}/proof`);
  // @ts-expect-error: the weight is not kept, and the types know it
  assert.equal(data.weight, undefined);
  return data.tracking_number;
}

const number = await issue();
assert.equal(await issue(), number, "a retry gets the same number");
const proof = await proofOf(number);
assert(proof.startsWith("c2sp.org/tlog-proof@v1\n"));
const { data: checkpoint } = await client.GET("/checkpoint", { parseAs: "text" });
assert(checkpoint !== undefined && checkpoint.split("\n")[0] === proof.split("\n\n")[1]?.split("\n")[0]);
const { data: tile } = await client.GET("/tile/{path}", {
  params: { path: { path: "0/000.p/1" } },
  parseAs: "arrayBuffer",
});
assert.equal(tile?.byteLength, 32);
