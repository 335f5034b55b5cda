// The client that is made of the schema, and an order; schema.d.ts is generated beside this file.
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
