-- What witnesses say of the log (c2sp.org/tlog-cosignature), and whether they answer.

-- Each checkpoint that a witness cosigned, with all that it takes to write and to check its note.
CREATE TABLE public.cosignature (
    size         bigint NOT NULL,
    cosigned_at  bigint NOT NULL, -- POSIX seconds, of the witness's clock; signed together with the checkpoint
    root         bytea  NOT NULL,
    signature    bytea  NOT NULL, -- the log's
    cosignature  bytea  NOT NULL,
    witness      text   COLLATE "C" NOT NULL, -- its verifier key

    CONSTRAINT cosignature_pkey PRIMARY KEY (size, witness),
    CONSTRAINT cosigned_has_leaves CHECK (size > 0),
    CONSTRAINT cosigned_at_is_a_time CHECK (cosigned_at >= 0),
    CONSTRAINT cosigned_root_is_sha256 CHECK (octet_length(root) = 32),
    CONSTRAINT cosignatures_are_ed25519 CHECK (octet_length(signature) = 64 AND octet_length(cosignature) = 64)
);

-- How asking a witness went, for metrics: a row that changes as it is asked, and no part of any proof.
CREATE TABLE public.witness (
    asked_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    answered_at timestamptz, -- when it cosigned last
    asked       bigint NOT NULL DEFAULT 0,
    failed      bigint NOT NULL DEFAULT 0, -- of those asked
    size        bigint NOT NULL DEFAULT 0, -- that it cosigned last; where it knows another one, its answer says so
    witness     text   COLLATE "C" NOT NULL, -- its verifier key
    trouble     text,  -- what its last answer lacked; null if it cosigned
    alarm       text,  -- what it holds against this log, until it cosigns again

    CONSTRAINT witness_pkey PRIMARY KEY (witness),
    CONSTRAINT failed_of_asked CHECK (failed BETWEEN 0 AND asked),
    CONSTRAINT witness_knows_a_size CHECK (size >= 0)
);

ALTER TABLE public.cosignature OWNER TO tracking_owner;
ALTER TABLE public.witness     OWNER TO tracking_owner;
REVOKE ALL ON public.cosignature, public.witness FROM PUBLIC;
GRANT SELECT ON public.cosignature, public.witness TO tracking_app, tracking_sealer, tracking_auditor, tracking_reporter;
GRANT INSERT ON public.cosignature, public.witness TO tracking_sealer;
GRANT UPDATE (asked_at, answered_at, asked, failed, size, trouble, alarm) ON public.witness TO tracking_sealer;

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON public.cosignature
    FOR EACH ROW EXECUTE FUNCTION public.refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.cosignature
    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
ALTER TABLE public.cosignature ENABLE ALWAYS TRIGGER refuse_change, ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE TRIGGER refuse_removal BEFORE DELETE ON public.witness
    FOR EACH ROW EXECUTE FUNCTION public.refuse_shrinking();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.witness
    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_shrinking();
ALTER TABLE public.witness ENABLE ALWAYS TRIGGER refuse_removal, ENABLE ALWAYS TRIGGER refuse_truncate;
