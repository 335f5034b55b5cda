-- What is known of the customers' keys (CUSTOMER_TAG_KEYS): facts about each key id, and never a key. The fingerprint is
-- a keyed hash of a constant, so it tells nothing to whoever lacks the 256 random bits, nor helps to try customers' ids.
CREATE TABLE public.customer_key (
    recorded_at timestamptz NOT NULL DEFAULT now(),
    key_id      smallint    NOT NULL,
    fact        text        NOT NULL COLLATE "C",
    fingerprint bytea       NOT NULL,

    CONSTRAINT customer_key_pkey PRIMARY KEY (key_id, fact),
    CONSTRAINT key_id_has_4_digits CHECK (key_id BETWEEN 1 AND 9999),
    CONSTRAINT fact_is_known CHECK (fact IN ('introduced', 'used', 'retired', 'destroyed')),
    CONSTRAINT fingerprint_is_sha256 CHECK (octet_length(fingerprint) = 32)
);

ALTER TABLE public.customer_key OWNER TO tracking_owner;
REVOKE ALL ON public.customer_key FROM PUBLIC;
GRANT SELECT ON public.customer_key TO tracking_app, tracking_auditor;
GRANT INSERT ON public.customer_key TO tracking_app;

-- Whoever serves may begin a key; to end one, which stops all that still need it, takes the owner.
ALTER TABLE public.customer_key ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_is_read ON public.customer_key FOR SELECT USING (true);
CREATE POLICY serving_begins_a_key ON public.customer_key FOR INSERT TO tracking_app
    WITH CHECK (fact IN ('introduced', 'used'));

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON public.customer_key
    FOR EACH ROW EXECUTE FUNCTION public.refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.customer_key
    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
ALTER TABLE public.customer_key
    ENABLE ALWAYS TRIGGER refuse_change,
    ENABLE ALWAYS TRIGGER refuse_truncate;
