// Look up a number that was just issued: null is a value that the types make one think of.
import assert from "node:assert/strict";
import { client, order } from "./client.js";

const issued = await client.GET("/next-tracking-number", { params: { query: order } });
if (issued.error) throw new Error(issued.error.detail);
const number = issued.data.tracking_number;

const { data, error } = await client.GET("/v1/tracking-numbers/{number}", { params: { path: { number } } });
if (error) throw new Error(error.detail);
assert.equal(data.tracking_number, number);
assert.equal(data.leaf_hash, issued.data.leaf_hash);
const place: number | null = data.leaf_index;
// @ts-expect-error: an unsealed number has no place yet
const always: number = data.leaf_index;
assert.equal(place, always);
assert.equal(typeof data.principal, "number");

const unknown = await client.GET("/v1/tracking-numbers/{number}", {
  params: { path: { number: "3K9M7QX2PZ4MYIDT" } },
});
assert.equal(unknown.error?.type, "/problems/unknown-number");
