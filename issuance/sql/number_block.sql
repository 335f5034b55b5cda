-- Leases: block `id` covers the serials id * 1024 to id * 1024 + 1023, and belongs to one writer for ever.
CREATE TABLE public.number_block (
    id        bigint      NOT NULL,
    writer    bigint      NOT NULL,
    leased_at timestamptz NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT number_block_pkey PRIMARY KEY (id),
    CONSTRAINT block_has_31_bits CHECK (id BETWEEN 0 AND 2147483647)
);

ALTER TABLE public.number_block OWNER TO tracking_owner;
REVOKE ALL ON public.number_block FROM PUBLIC;
GRANT INSERT, SELECT ON public.number_block TO tracking_app;
GRANT SELECT ON public.number_block TO tracking_sealer, tracking_auditor;

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON public.number_block
    FOR EACH ROW EXECUTE FUNCTION public.refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.number_block
    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
ALTER TABLE public.number_block
    ENABLE ALWAYS TRIGGER refuse_change,
    ENABLE ALWAYS TRIGGER refuse_truncate;
