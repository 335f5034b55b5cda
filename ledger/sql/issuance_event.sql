-- Every number that was ever given out. Wide columns first: 8 bytes a row less padding than in alphabetical order.
CREATE TABLE public.issuance_event (
    serial           bigint      NOT NULL,
    order_created_at timestamptz NOT NULL,
    requested_at     timestamptz NOT NULL,
    principal        bigint,
    customer_key_id  smallint    NOT NULL,
    weight_band      smallint    NOT NULL,
    request_id       uuid        NOT NULL,
    customer_tag     bytea       NOT NULL,
    number           text        NOT NULL COLLATE "C",
    origin           text        NOT NULL COLLATE "C",
    destination      text        NOT NULL COLLATE "C",

    CONSTRAINT issuance_event_pkey PRIMARY KEY (number),
    CONSTRAINT issuance_event_serial_key UNIQUE (serial),

    -- 11 characters of Crockford's base 32 that hold 53 bits, two countries, a check character.
    CONSTRAINT number_format CHECK (number ~ '^[0-7][0-9A-HJKMNP-TV-Z]{10}[A-Z]{4}[0-9A-Z]$'),
    CONSTRAINT number_names_its_route CHECK (
        substr(number, 12, 2) = origin AND substr(number, 14, 2) = destination
    ),
    CONSTRAINT serial_has_41_bits CHECK (serial BETWEEN 0 AND 2199023255551),
    CONSTRAINT weight_band_is_known CHECK (weight_band BETWEEN 0 AND 10),
    CONSTRAINT customer_tag_is_sha256 CHECK (octet_length(customer_tag) = 32),
    CONSTRAINT customer_key_id_is_positive CHECK (customer_key_id > 0),
    -- RFC 8785 writes integers as IEEE doubles do, which are exact up to 2^53 - 1.
    CONSTRAINT principal_is_exact_in_json CHECK (principal BETWEEN 1 AND 9007199254740991)
);

CREATE INDEX issuance_event_requested_at ON public.issuance_event USING brin (requested_at);
CREATE INDEX issuance_event_customer ON public.issuance_event (customer_tag, requested_at);

ALTER TABLE public.issuance_event OWNER TO tracking_owner;
REVOKE ALL ON public.issuance_event FROM PUBLIC;
GRANT INSERT, SELECT ON public.issuance_event TO tracking_app;
GRANT SELECT ON public.issuance_event TO tracking_sealer, tracking_auditor;

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON public.issuance_event
    FOR EACH ROW EXECUTE FUNCTION public.refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.issuance_event
    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
-- ALWAYS: under session_replication_role = replica too.
ALTER TABLE public.issuance_event
    ENABLE ALWAYS TRIGGER refuse_change,
    ENABLE ALWAYS TRIGGER refuse_truncate;
