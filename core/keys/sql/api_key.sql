-- Who may call what. A row is never removed, since events name it, and a key that was revoked stays so.
CREATE TABLE public.api_key (
    id           bigint      NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at   timestamptz, -- null: never
    revoked_at   timestamptz, -- null: not revoked
    last_used_at timestamptz, -- to the minute
    bound        boolean     NOT NULL, -- to one customer, whose id stands in the key and not here
    digest       bytea       NOT NULL, -- SHA-256 of the key
    name         text        NOT NULL, -- what the operator calls it
    scopes       text[]      NOT NULL,

    CONSTRAINT api_key_pkey PRIMARY KEY (id),
    CONSTRAINT id_is_exact_in_json CHECK (id BETWEEN 1 AND 9007199254740991),
    CONSTRAINT digest_is_sha256 CHECK (octet_length(digest) = 32),
    CONSTRAINT name_is_short CHECK (char_length(name) BETWEEN 1 AND 100),
    CONSTRAINT scopes_are_known CHECK (
        cardinality(scopes) > 0 AND array_ndims(scopes) = 1 AND scopes <@ ARRAY['issue', 'audit', 'reports', 'operate']
    )
);

ALTER TABLE public.api_key OWNER TO tracking_owner;
REVOKE ALL ON public.api_key FROM PUBLIC;
GRANT INSERT, SELECT ON public.api_key TO tracking_app;
GRANT UPDATE (revoked_at, last_used_at) ON public.api_key TO tracking_app;
GRANT SELECT ON public.api_key TO tracking_sealer, tracking_auditor;

CREATE TRIGGER refuse_change BEFORE UPDATE ON public.api_key FOR EACH ROW
    WHEN ((NEW.id, NEW.created_at, NEW.expires_at, NEW.bound, NEW.digest, NEW.name, NEW.scopes)
            IS DISTINCT FROM (OLD.id, OLD.created_at, OLD.expires_at, OLD.bound, OLD.digest, OLD.name, OLD.scopes)
        OR (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS DISTINCT FROM OLD.revoked_at))
    EXECUTE FUNCTION public.refuse_change();
CREATE TRIGGER refuse_removal BEFORE DELETE ON public.api_key
    FOR EACH ROW EXECUTE FUNCTION public.refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.api_key
    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
ALTER TABLE public.api_key
    ENABLE ALWAYS TRIGGER refuse_change,
    ENABLE ALWAYS TRIGGER refuse_removal,
    ENABLE ALWAYS TRIGGER refuse_truncate;
