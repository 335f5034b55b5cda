// Issue a number, wait until it is in the log, fetch its proof.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { client, order } from "./client.js";

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

async function proofOf(number: string): Promise<string> {
  for (;;) {
    const { data, error, response } = await client.GET("/v1/tracking-numbers/{number}/proof", {
      params: { path: { number } },
      parseAs: "text",
    });
    if (data !== undefined) return data;
    if (error.type !== "/problems/not-yet-sealed") throw new Error(error.detail);
    await sleep(1000 * Number(response.headers.get("Retry-After")));
  }
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
