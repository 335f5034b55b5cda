// List a customer's numbers, page by page.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { client, order } from "./client.js";

const customer_id = randomUUID();
const issued: string[] = [];
for (let count = 0; count < 3; count++) {
  const { data, error } = await client.GET("/next-tracking-number", { params: { query: { ...order, customer_id } } });
  if (error) throw new Error(error.detail);
  issued.push(data.tracking_number);
}

async function page(cursor?: string) {
  const query = { customer_id, page_size: 2, ...(cursor === undefined ? {} : { cursor }) };
  const { data, error } = await client.GET("/v1/tracking-numbers", { params: { query } });
  if (error) throw new Error(error.detail);
  const next: string | null = data.next;
  return { numbers: data.results.map((event) => event.tracking_number), next };
}

const first = await page();
assert(first.next !== null);
const cursor = new URL(first.next, "http://localhost").searchParams.get("cursor");
assert(cursor !== null);
const second = await page(cursor);
assert.equal(second.next, null);
assert.deepEqual([first.numbers.length, second.numbers.length], [2, 1]);
assert.deepEqual([...first.numbers, ...second.numbers].sort(), issued.sort());
