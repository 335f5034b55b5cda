-- What was done after a restore, and where a log had to end. Written by `manage.py recover_ledger`, as the owner.
CREATE TABLE public.recovery (
    id            bigint      GENERATED ALWAYS AS IDENTITY,
    recorded_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    leaves_before bigint      NOT NULL, -- of the database's tree, when the command was run
    leaves        bigint      NOT NULL, -- of the tree that was published; as many as before where none was
    events        bigint      NOT NULL, -- put back by this run
    blocks        int8range   NOT NULL, -- written off: leased after the backup, by sessions that the database forgot
    lost          int8multirange NOT NULL, -- serials that may have been answered, have no event, and never come again
    kind          text        NOT NULL,
    verifier_key  text        NOT NULL, -- of the log that this is about; a new log is another one's successor
    note          text,                 -- its last checkpoint outside the database; null where there was none
    reason        text,                 -- why there is a new log

    CONSTRAINT recovery_pkey PRIMARY KEY (id),
    CONSTRAINT recovery_is_begun_and_done CHECK (kind IN ('begun', 'recovered', 'new log')),
    CONSTRAINT recovery_counts CHECK (leaves_before >= 0 AND leaves >= 0 AND events >= 0),
    CONSTRAINT new_log_has_a_reason CHECK ((kind = 'new log') = (reason IS NOT NULL))
);
ALTER TABLE public.recovery OWNER TO tracking_owner;
REVOKE ALL ON public.recovery FROM PUBLIC;
GRANT SELECT ON public.recovery TO tracking_app, tracking_sealer, tracking_auditor, tracking_reporter;

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON public.recovery
    FOR EACH ROW EXECUTE FUNCTION public.refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.recovery
    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
ALTER TABLE public.recovery ENABLE ALWAYS TRIGGER refuse_change, ENABLE ALWAYS TRIGGER refuse_truncate;

-- A new log goes on with the leaves of the one before it, under another origin: checkpoints of at most so many leaves are
-- those of the logs before. Only the owner moves it; what was published is then nothing, once, and grows again from there.
ALTER TABLE public.tree_state
    ADD COLUMN log_begin bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT published_is_of_this_log CHECK (published_size = 0 OR published_size > log_begin);

CREATE OR REPLACE TRIGGER refuse_shrinking BEFORE UPDATE ON public.tree_state FOR EACH ROW
    WHEN (NEW.size < OLD.size OR NEW.closed_below < OLD.closed_below OR NEW.log_begin < OLD.log_begin
        OR (NEW.size = OLD.size AND (NEW.root, NEW.edge) <> (OLD.root, OLD.edge))
        OR (NEW.published_size = OLD.published_size
            AND (NEW.published_root, NEW.published_signature)
                IS DISTINCT FROM (OLD.published_root, OLD.published_signature))
        OR (NEW.published_size = NEW.size AND NEW.published_root <> NEW.root)
        OR (NEW.log_begin = OLD.log_begin AND NEW.published_size < OLD.published_size)
        OR (NEW.log_begin > OLD.log_begin AND (NEW.log_begin <> OLD.published_size OR NEW.published_size <> 0)))
    EXECUTE FUNCTION public.refuse_shrinking();
ALTER TABLE public.tree_state ENABLE ALWAYS TRIGGER refuse_shrinking;

-- The first checkpoint over the leaf of each event, as ledger/checkpoints.py asks; of this log, and none before it.
CREATE OR REPLACE VIEW public.shard_sealed AS
    SELECT l.serial, c.size, c.signature,
           coalesce((SELECT max(size) FROM public.checkpoint WHERE size > l.leaf_index - 2048 AND size <= l.leaf_index),
                    greatest(l.leaf_index - 2048, 0)) AS first_leaf, -- it is known to be the first over these, too
           ARRAY(SELECT substr(coalesce(t.hashes,
                                        CASE WHEN s.size >> 8 * (n + 1) = c.size >> 8 * (n + 1) THEN s.edge[n + 1] END),
                               1, (c.size >> 8 * n & 255)::integer * 32)
                   FROM generate_series(0, 7) AS n
                   LEFT JOIN public.tile t ON t.level = n AND t.position = c.size >> 8 * (n + 1)
                  WHERE c.size >> 8 * n & 255 > 0 ORDER BY n) AS hashes -- the tiles of its root
      FROM public.shard_leaf l
     CROSS JOIN public.tree_state s
     CROSS JOIN LATERAL (SELECT greatest(l.leaf_index, s.log_begin) AS leaf OFFSET 0) o
      LEFT JOIN LATERAL (
           (SELECT size, signature FROM public.checkpoint
             WHERE size > o.leaf AND size <= o.leaf + 2048 ORDER BY size LIMIT 1)
            UNION ALL
           (SELECT size, signature FROM public.checkpoint
             WHERE size > o.leaf AND size <= o.leaf + 16384 ORDER BY size LIMIT 1)
            UNION ALL
           (SELECT size, signature FROM public.checkpoint
             WHERE size > o.leaf AND size <= o.leaf + 131072 ORDER BY size LIMIT 1)
            UNION ALL
           (SELECT size, signature FROM public.checkpoint
             WHERE size > o.leaf AND size <= l.published_size ORDER BY size LIMIT 1)
            LIMIT 1) c ON true;
