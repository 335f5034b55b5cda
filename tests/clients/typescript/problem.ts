// Every error is a problem document, and its type is what a program goes by.
import assert from "node:assert/strict";
import { client, order } from "./client.js";
import type { components } from "./schema.js";

type Problem = components["schemas"]["Problem"];

function described(problem: Problem): string {
  return (problem.errors ?? []).map(({ parameter, code }) => `${parameter} ${code}`).join(", ");
}

const refused = await client.GET("/next-tracking-number", {
  params: { query: { ...order, weight: "0", customer_slug: "RedBox" } },
});
assert(refused.error);
assert.equal(refused.data, undefined);
assert.equal(refused.error.type, "/problems/invalid-parameters");
assert.equal(refused.error.status, 400);
assert.equal(described(refused.error), "weight range, customer_slug format");

const unknown = await client.GET("/v1/tracking-numbers/{number}/proof", {
  params: { path: { number: "3K9M7QX2PZ4MYIDT" } },
});
assert(unknown.error);
assert.deepEqual([unknown.error.type, unknown.error.status], ["/problems/unknown-number", 404]);
assert.equal(described(unknown.error), "");

const { weight, ...incomplete } = order;
assert.equal(weight, "1.234");
// @ts-expect-error: without its weight it is no order
const missing = await client.GET("/next-tracking-number", { params: { query: incomplete } });
assert(missing.error);
assert.equal(described(missing.error), "weight missing");
