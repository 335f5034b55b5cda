// List a customer's numbers, page by page.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { client, order, proofOf } from "./client.js";

const customer_id = randomUUID();

async function issue(): Promise<string> {
  const { data, error } = await client.GET("/next-tracking-number", { params: { query: { ...order, customer_id } } });
  if (error) throw new Error(error.detail);
  await proofOf(data.tracking_number); // a list is of what is in the log
  return data.tracking_number;
}

async function page(place: { cursor?: string }) {
  const { data, error } = await client.GET("/v1/tracking-numbers", {
    params: { query: { customer_id, limit: 2, ...place } },
  });
  if (error) throw new Error(error.detail);
  if (typeof data === "string") throw new Error("an export");
  const next: string | null = data.next;
  return { numbers: data.results.map((event) => event.tracking_number), next };
}

const issued = [await issue(), await issue(), await issue()];
const first = await page({});
assert(first.next !== null);
const cursor = new URL(first.next, "http://localhost").searchParams.get("cursor");
assert(cursor !== null);
const second = await page({ cursor });
assert.equal(second.next, null);
assert.deepEqual([first.numbers.length, second.numbers.length], [2, 1]);
assert.deepEqual([...first.numbers, ...second.numbers].sort(), issued.sort());
