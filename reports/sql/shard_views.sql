-- What a database shows to a coordinator of its counts (ledger/sql/shard_views.sql says what that is): the tables of the
-- roll-up and the leaves that it has not reached, as reports/counted.py reads them within one database.

-- `manage.py rebuild_reports` puts other tables in the place of these, which a view would not follow. Functions do: their
-- bodies are read anew, and inlined, so a condition of whoever asks reaches the indexes.
CREATE FUNCTION public.count_stretches() RETURNS TABLE (first_serial bigint, last_serial bigint)
    LANGUAGE sql STABLE AS $$
    WITH bounds AS MATERIALIZED (
        SELECT p.leaves AS begin_leaf, s.size AS end_leaf FROM public.rollup_state p CROSS JOIN public.tree_state s LIMIT 1)
    SELECT min(first_serial), max(last_serial)
      FROM (SELECT CASE WHEN r.first_leaf >= bounds.begin_leaf THEN r.first_serial
                        ELSE (SELECT b.serial FROM public.issuance_event b
                               WHERE b.serial BETWEEN r.first_serial AND r.last_serial
                               ORDER BY b.serial OFFSET bounds.begin_leaf - r.first_leaf LIMIT 1) END AS first_serial,
                   r.last_serial
              FROM bounds JOIN public.run r ON r.first_leaf > bounds.begin_leaf - 1024
                                           AND r.first_leaf + r.leaves > bounds.begin_leaf
                                           AND r.first_leaf < bounds.end_leaf) AS spans
     GROUP BY first_serial >> 10
$$;

CREATE FUNCTION public.count_usage()
    RETURNS TABLE (customer_tag bytea, day date, origin text, destination text, weight_band smallint, count bigint,
                   fresh boolean)
    LANGUAGE sql STABLE AS $$
    SELECT u.customer_tag, u.day, u.origin, u.destination, u.weight_band, u.count, false FROM public.daily_usage u
     UNION ALL
    SELECT e.customer_tag, (e.requested_at AT TIME ZONE current_setting('tracking.report_time_zone'))::date, e.origin,
           e.destination, e.weight_band, 1, true
      FROM public.count_stretches() s JOIN public.issuance_event e ON e.serial BETWEEN s.first_serial AND s.last_serial
$$;

CREATE FUNCTION public.count_total()
    RETURNS TABLE (day date, origin text, destination text, weight_band smallint, count bigint, fresh boolean)
    LANGUAGE sql STABLE AS $$
    SELECT t.day, t.origin, t.destination, t.weight_band, t.count, false FROM public.daily_total t
     UNION ALL
    SELECT (e.requested_at AT TIME ZONE current_setting('tracking.report_time_zone'))::date, e.origin, e.destination,
           e.weight_band, 1, true
      FROM public.count_stretches() s CROSS JOIN LATERAL (
           SELECT requested_at, origin, destination, weight_band FROM public.issuance_event
            WHERE serial BETWEEN s.first_serial AND s.last_serial ORDER BY serial LIMIT 1024) AS e
$$;

CREATE FUNCTION public.count_position() RETURNS TABLE (size bigint, time_zone text)
    LANGUAGE sql STABLE AS $$
    SELECT s.size, p.time_zone FROM public.rollup_state p CROSS JOIN public.tree_state s
$$;

CREATE VIEW public.shard_usage AS
    SELECT current_setting('tracking.shard')::smallint AS shard, counted.* FROM public.count_usage() AS counted;
CREATE VIEW public.shard_total AS
    SELECT current_setting('tracking.shard')::smallint AS shard, counted.* FROM public.count_total() AS counted;
CREATE VIEW public.shard_position AS
    SELECT current_setting('tracking.shard')::smallint AS shard, counted.* FROM public.count_position() AS counted;
CREATE VIEW public.shard_report AS
    SELECT current_setting('tracking.shard')::smallint AS shard, day, size, total, digest FROM public.daily_report;
CREATE VIEW public.shard_correction AS
    SELECT current_setting('tracking.shard')::smallint AS shard, day, first_leaf, total, digest, document
      FROM public.daily_correction;

ALTER FUNCTION public.count_stretches() OWNER TO tracking_owner;
ALTER FUNCTION public.count_usage()    OWNER TO tracking_owner;
ALTER FUNCTION public.count_total()    OWNER TO tracking_owner;
ALTER FUNCTION public.count_position() OWNER TO tracking_owner;
ALTER VIEW public.shard_usage      OWNER TO tracking_owner;
ALTER VIEW public.shard_total      OWNER TO tracking_owner;
ALTER VIEW public.shard_position   OWNER TO tracking_owner;
ALTER VIEW public.shard_report     OWNER TO tracking_owner;
ALTER VIEW public.shard_correction OWNER TO tracking_owner;
REVOKE ALL ON FUNCTION public.count_stretches(), public.count_usage(), public.count_total(),
    public.count_position() FROM PUBLIC;
REVOKE ALL ON public.shard_usage, public.shard_total, public.shard_position, public.shard_report,
    public.shard_correction FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.count_stretches(), public.count_usage(), public.count_total(),
    public.count_position() TO tracking_auditor;
GRANT SELECT ON public.shard_usage, public.shard_total, public.shard_position, public.shard_report,
    public.shard_correction TO tracking_auditor;
