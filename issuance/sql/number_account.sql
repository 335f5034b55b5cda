-- What the nightly accounting found: what became of all serials of the blocks below end_block, and of some beyond it where
-- an id in between was not leased. Closed are the blocks below end_block that are not open: nothing comes from them any
-- more, so the next account takes their sums from here.
CREATE TABLE public.number_account (
    id            bigint      GENERATED ALWAYS AS IDENTITY,
    counted_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    leased        bigint      NOT NULL,
    issued        bigint      NOT NULL,
    burned        bigint      NOT NULL,
    held          bigint      NOT NULL,
    end_block     bigint      NOT NULL,
    closed_issued bigint      NOT NULL,
    wrong         bigint      NOT NULL,
    open_blocks   bigint[]    NOT NULL,
    faults        text[]      NOT NULL, -- sentences, not more than some; none: everything is accounted for

    CONSTRAINT number_account_pkey PRIMARY KEY (id),
    CONSTRAINT account_adds_up CHECK (leased = issued + burned + held AND least(issued, burned, held) >= 0),
    CONSTRAINT closed_is_a_part CHECK (closed_issued BETWEEN 0 AND issued AND end_block >= 0),
    CONSTRAINT what_is_wrong_is_said CHECK (wrong >= 0 AND (wrong = 0) = (faults = '{}'))
);

ALTER TABLE public.number_account OWNER TO tracking_owner;
REVOKE ALL ON public.number_account FROM PUBLIC;
GRANT SELECT ON public.number_account TO tracking_app, tracking_auditor, tracking_reporter;
GRANT INSERT ON public.number_account TO tracking_reporter;

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON public.number_account
    FOR EACH ROW EXECUTE FUNCTION public.refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.number_account
    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
ALTER TABLE public.number_account
    ENABLE ALWAYS TRIGGER refuse_change,
    ENABLE ALWAYS TRIGGER refuse_truncate;
