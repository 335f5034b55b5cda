-- Who allocates in this database: one row, written once, compared with the fence and the settings at every start.
CREATE TABLE public.allocator (
    id              uuid        NOT NULL,
    key_fingerprint bytea       NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    shard           smallint    NOT NULL,
    singleton       boolean     NOT NULL DEFAULT true,

    CONSTRAINT allocator_pkey PRIMARY KEY (singleton),
    CONSTRAINT there_is_one_allocator CHECK (singleton),
    CONSTRAINT shard_has_5_bits CHECK (shard BETWEEN 0 AND 31)
);

ALTER TABLE public.allocator OWNER TO tracking_owner;
REVOKE ALL ON public.allocator FROM PUBLIC;
GRANT INSERT, SELECT ON public.allocator TO tracking_app;
GRANT SELECT ON public.allocator TO tracking_sealer, tracking_auditor;

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON public.allocator
    FOR EACH ROW EXECUTE FUNCTION public.refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.allocator
    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
ALTER TABLE public.allocator
    ENABLE ALWAYS TRIGGER refuse_change,
    ENABLE ALWAYS TRIGGER refuse_truncate;
