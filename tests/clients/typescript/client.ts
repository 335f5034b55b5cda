// The client that is made of the schema, and an order; schema.d.ts is generated beside this file.
import { setTimeout as sleep } from "node:timers/promises";
import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

export type Order = paths["/next-tracking-number"]["get"]["parameters"]["query"];

export const order: Order = {
  origin_country_id: "MY",
  destination_country_id: "ID",
  weight: "1.234",
  created_at: "2018-11-20T19:29:32+08:00",
  customer_id: "de619854-b59b-425e-9db4-943979e1bd49",
  customer_name: "RedBox Logistics",
  customer_slug: "redbox-logistics",
};

function environment(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

export const client = createClient<paths>({
  baseUrl: environment("BASE_URL"),
  headers: { Authorization: `Bearer ${environment("API_KEY")}` },
});

// The proof of a number, once the log has taken it up.
export async function proofOf(number: string): Promise<string> {
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
