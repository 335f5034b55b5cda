-- Beside the counts (counts.sql): parts of a large range, what was found, and what was given out and stays.

-- Counts of leaves that the position has not reached: parts of a large range, each counted by one task, which are added
-- to the above in leaf order. A part that is here is whole.
CREATE TABLE public.rollup_part (
    first_leaf bigint NOT NULL,
    end_leaf   bigint NOT NULL, -- the leaf after the last one
    time_zone  text   NOT NULL, -- whose days they are counted by

    CONSTRAINT rollup_part_pkey PRIMARY KEY (first_leaf),
    CONSTRAINT part_has_leaves CHECK (first_leaf >= 0 AND end_leaf > first_leaf)
);
CREATE TABLE public.rollup_part_usage (
    first_leaf   bigint   NOT NULL,
    count        bigint   NOT NULL,
    day          date     NOT NULL,
    weight_band  smallint NOT NULL,
    customer_tag bytea    NOT NULL,
    origin       text     NOT NULL COLLATE "C",
    destination  text     NOT NULL COLLATE "C"
);
-- One statement writes all rows of a part, and one removes them: a unique or a foreign key would only cost time.
CREATE INDEX rollup_part_usage_first_leaf ON public.rollup_part_usage (first_leaf);

-- The report of a day that is over: what the ledger held of it when the tree had `size` leaves, under the signature of
-- that tree. Its document is canonical JSON (RFC 8785), and says all of this again.
CREATE TABLE public.daily_report (
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    size       bigint      NOT NULL,
    total      bigint      NOT NULL,
    day        date        NOT NULL,
    root       bytea       NOT NULL,
    signature  bytea, -- null: of a tree without leaves, which nobody signs
    digest     bytea       NOT NULL,
    document   text        NOT NULL,

    CONSTRAINT daily_report_pkey PRIMARY KEY (day),
    CONSTRAINT report_counts_leaves CHECK (total BETWEEN 0 AND size),
    CONSTRAINT report_root_is_sha256 CHECK (octet_length(root) = 32),
    CONSTRAINT report_signature_is_ed25519 CHECK (octet_length(signature) = 64),
    CONSTRAINT report_is_signed CHECK ((size = 0) = (signature IS NULL)),
    CONSTRAINT report_digest_is_sha256 CHECK (digest = sha256(convert_to(document, 'UTF8')))
);

-- Events of a closed day that were sealed after its report: what the leaves first_leaf to end_leaf - 1 add to it.
CREATE TABLE public.daily_correction (
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    first_leaf bigint      NOT NULL,
    end_leaf   bigint      NOT NULL,
    total      bigint      NOT NULL,
    day        date        NOT NULL,
    digest     bytea       NOT NULL,
    document   text        NOT NULL,

    CONSTRAINT daily_correction_pkey PRIMARY KEY (day, first_leaf),
    CONSTRAINT correction_day_is_closed FOREIGN KEY (day) REFERENCES public.daily_report,
    CONSTRAINT correction_counts_leaves CHECK (total BETWEEN 1 AND end_leaf - first_leaf AND first_leaf >= 0),
    CONSTRAINT correction_digest_is_sha256 CHECK (digest = sha256(convert_to(document, 'UTF8')))
);

-- What the nightly checks found: leaves that were recomputed from their rows, days whose counts were compared.
CREATE TABLE public.ledger_check (
    id         bigint      GENERATED ALWAYS AS IDENTITY,
    checked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    first_leaf bigint      NOT NULL,
    end_leaf   bigint      NOT NULL,
    day        date, -- of a count; null: leaves
    faults     text[]      NOT NULL, -- sentences; none: everything fits

    CONSTRAINT ledger_check_pkey PRIMARY KEY (id),
    CONSTRAINT check_has_a_range CHECK (first_leaf >= 0 AND end_leaf >= first_leaf)
);

ALTER TABLE public.rollup_part       OWNER TO tracking_owner;
ALTER TABLE public.rollup_part_usage OWNER TO tracking_owner;
ALTER TABLE public.daily_report      OWNER TO tracking_owner;
ALTER TABLE public.daily_correction  OWNER TO tracking_owner;
ALTER TABLE public.ledger_check      OWNER TO tracking_owner;
REVOKE ALL ON public.rollup_part, public.rollup_part_usage, public.daily_report, public.daily_correction,
    public.ledger_check FROM PUBLIC;
GRANT SELECT ON public.daily_report, public.daily_correction, public.ledger_check
    TO tracking_app, tracking_auditor, tracking_reporter;
GRANT SELECT ON public.rollup_part, public.rollup_part_usage TO tracking_reporter;
GRANT INSERT, DELETE ON public.rollup_part, public.rollup_part_usage TO tracking_reporter;
GRANT INSERT ON public.daily_report, public.daily_correction, public.ledger_check TO tracking_reporter;

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON public.daily_report
    FOR EACH ROW EXECUTE FUNCTION public.refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.daily_report
    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON public.daily_correction
    FOR EACH ROW EXECUTE FUNCTION public.refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.daily_correction
    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON public.ledger_check
    FOR EACH ROW EXECUTE FUNCTION public.refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.ledger_check
    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
ALTER TABLE public.daily_report     ENABLE ALWAYS TRIGGER refuse_change, ENABLE ALWAYS TRIGGER refuse_truncate;
ALTER TABLE public.daily_correction ENABLE ALWAYS TRIGGER refuse_change, ENABLE ALWAYS TRIGGER refuse_truncate;
ALTER TABLE public.ledger_check     ENABLE ALWAYS TRIGGER refuse_change, ENABLE ALWAYS TRIGGER refuse_truncate;
