-- What is counted of the log's leaves. `manage.py rebuild_reports` runs this file too, in a schema of its own, and puts
-- what it has made there in the place of these tables.

-- How far the log is counted: the leaves 0 to leaves - 1 are in daily_usage and daily_total, each once.
CREATE TABLE public.rollup_state (
    leaves    bigint  NOT NULL DEFAULT 0,
    singleton boolean NOT NULL DEFAULT true,
    time_zone text, -- whose days they are counted by; null before the first roll-up

    CONSTRAINT rollup_state_pkey PRIMARY KEY (singleton),
    CONSTRAINT there_is_one_position CHECK (singleton),
    CONSTRAINT position_is_a_size CHECK (leaves >= 0),
    CONSTRAINT counted_days_have_a_zone CHECK (leaves = 0 OR time_zone IS NOT NULL)
);
INSERT INTO public.rollup_state DEFAULT VALUES;

-- What each customer was issued on each day. The customer comes first: statistics ask for one customer's days.
CREATE TABLE public.daily_usage (
    count        bigint   NOT NULL,
    day          date     NOT NULL,
    weight_band  smallint NOT NULL,
    customer_tag bytea    NOT NULL,
    origin       text     NOT NULL COLLATE "C",
    destination  text     NOT NULL COLLATE "C",

    CONSTRAINT daily_usage_pkey PRIMARY KEY (customer_tag, day, origin, destination, weight_band),
    CONSTRAINT usage_counts_something CHECK (count > 0)
) WITH (fillfactor = 90); -- today's rows are counted up in place
-- A day's rows lie together: they are compared with the ledger when the day is closed.
CREATE INDEX daily_usage_day ON public.daily_usage USING brin (day) WITH (pages_per_range = 32, autosummarize = on);

-- The same over all customers, for the reports: a few thousand rows a day, however many customers there are.
CREATE TABLE public.daily_total (
    count       bigint   NOT NULL,
    day         date     NOT NULL,
    weight_band smallint NOT NULL,
    origin      text     NOT NULL COLLATE "C",
    destination text     NOT NULL COLLATE "C",

    CONSTRAINT daily_total_pkey PRIMARY KEY (day, origin, destination, weight_band),
    CONSTRAINT total_counts_something CHECK (count > 0)
) WITH (fillfactor = 90);

ALTER TABLE public.rollup_state OWNER TO tracking_owner;
ALTER TABLE public.daily_usage  OWNER TO tracking_owner;
ALTER TABLE public.daily_total  OWNER TO tracking_owner;
REVOKE ALL ON public.rollup_state, public.daily_usage, public.daily_total FROM PUBLIC;
GRANT SELECT ON public.rollup_state, public.daily_usage, public.daily_total
    TO tracking_app, tracking_auditor, tracking_reporter;
GRANT UPDATE (leaves, time_zone) ON public.rollup_state TO tracking_reporter;
GRANT INSERT, UPDATE (count) ON public.daily_usage, public.daily_total TO tracking_reporter;
