-- Idempotency-Keys that were used. The primary key decides which of two requests was first; both wait for its commit.
CREATE TABLE public.idempotency_claim (
    tag         bytea NOT NULL,
    fingerprint bytea NOT NULL,
    number      text  NOT NULL COLLATE "C",

    CONSTRAINT idempotency_claim_pkey PRIMARY KEY (tag),
    CONSTRAINT tag_is_sha256 CHECK (octet_length(tag) = 32),
    CONSTRAINT fingerprint_is_sha256 CHECK (octet_length(fingerprint) = 32)
);

ALTER TABLE public.idempotency_claim OWNER TO tracking_owner;
REVOKE ALL ON public.idempotency_claim FROM PUBLIC;
GRANT INSERT, SELECT ON public.idempotency_claim TO tracking_app;
GRANT SELECT ON public.idempotency_claim TO tracking_sealer, tracking_auditor;

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON public.idempotency_claim
    FOR EACH ROW EXECUTE FUNCTION public.refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.idempotency_claim
    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
ALTER TABLE public.idempotency_claim
    ENABLE ALWAYS TRIGGER refuse_change,
    ENABLE ALWAYS TRIGGER refuse_truncate;
