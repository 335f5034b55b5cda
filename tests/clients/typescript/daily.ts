// Read how many numbers were issued on each day, and what of.
import assert from "node:assert/strict";
import { client, order, proofOf } from "./client.js";

const issued = await client.GET("/next-tracking-number", { params: { query: order } });
if (issued.error) throw new Error(issued.error.detail);
await proofOf(issued.data.tracking_number); // what is counted is in the log

const found = await client.GET("/v1/reports/daily");
if (found.error) throw new Error(found.error.detail);
if (typeof found.data === "string") throw new Error("a file");
const today = found.data.days.find((day) => day.day === issued.data.created_at.slice(0, 10));
assert(today !== undefined);
assert.equal(today.closed, false);
assert.equal(today.links.corrections, null);

const report = await client.GET("/v1/reports/daily/{day}", { params: { path: { day: today.day } } });
if (report.error) throw new Error(report.error.detail);
if (typeof report.data === "string") throw new Error("a file");
assert(report.data.total >= today.total);
assert.equal(report.data.signature, null);
assert(report.data.counts.some((cell) => cell.origin === "MY" && cell.destination === "ID"));
