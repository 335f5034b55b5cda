-- What lists of events go by (docs/adr/0012). An insert costs what it did before.

-- A customer's events in the order of a list.
DROP INDEX public.issuance_event_customer;
CREATE INDEX issuance_event_customer ON public.issuance_event (customer_tag, serial);

-- For every filter that hits few events: one range is 64 pages, some 3,700 events, and is not looked at where the
-- filters can't be met. Rows lie in the order of serial and time, so these have bounds; of the others a bloom filter
-- says what is there, at 1 % false alarms for request ids that are all different. Each query gives a range of serials,
-- and so tells the planner that ranges are worth looking at.
DROP INDEX public.issuance_event_requested_at;
CREATE INDEX issuance_event_ranges ON public.issuance_event USING brin (
    serial,
    requested_at,
    request_id  uuid_bloom_ops (n_distinct_per_range = -0.2),
    principal   int8_bloom_ops (n_distinct_per_range = 256),
    origin      text_bloom_ops (n_distinct_per_range = 256),
    destination text_bloom_ops (n_distinct_per_range = 256)
) WITH (pages_per_range = 64, autosummarize = on);
