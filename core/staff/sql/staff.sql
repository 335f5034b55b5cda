-- Who may log in to the console. A row is never removed; whoever leaves is made inactive.
CREATE TABLE public.staff_user (
    id         bigint      GENERATED ALWAYS AS IDENTITY,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    epoch      integer     NOT NULL DEFAULT 0, -- sessions name it, so raising it ends them all
    one_time   boolean     NOT NULL, -- the password was printed, and must be changed before anything else
    active     boolean     NOT NULL DEFAULT true,
    name       text        NOT NULL, -- what the operator calls the login
    password   text        NOT NULL, -- a slow, salted hash

    CONSTRAINT staff_user_pkey PRIMARY KEY (id),
    CONSTRAINT staff_user_name_key UNIQUE (name),
    CONSTRAINT staff_name_is_plain CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,63}$')
);

-- Tries to log in since the last one that succeeded, by name, so that guessing is slow however many processes serve.
-- Names that nobody has are counted too, or the difference would tell which there are. A name is kept as sixteen bits of
-- a keyed hash: there are never more rows than that, whatever is tried.
CREATE TABLE public.staff_try (
    bucket   integer     NOT NULL,
    tries    integer     NOT NULL,
    tried_at timestamptz NOT NULL,

    CONSTRAINT staff_try_pkey PRIMARY KEY (bucket),
    CONSTRAINT bucket_has_16_bits CHECK (bucket BETWEEN 0 AND 65535),
    CONSTRAINT tries_are_counted CHECK (tries >= 0)
);

ALTER TABLE public.staff_user OWNER TO tracking_owner;
ALTER TABLE public.staff_try  OWNER TO tracking_owner;
REVOKE ALL ON public.staff_user, public.staff_try FROM PUBLIC;
GRANT INSERT, SELECT ON public.staff_user, public.staff_try TO tracking_app;
GRANT UPDATE (epoch, one_time, active, password) ON public.staff_user TO tracking_app;
GRANT UPDATE (tries, tried_at) ON public.staff_try TO tracking_app;

CREATE TRIGGER refuse_change BEFORE UPDATE ON public.staff_user FOR EACH ROW
    WHEN ((NEW.id, NEW.created_at, NEW.name) IS DISTINCT FROM (OLD.id, OLD.created_at, OLD.name)
        OR NEW.epoch < OLD.epoch)
    EXECUTE FUNCTION public.refuse_change();
CREATE TRIGGER refuse_removal BEFORE DELETE ON public.staff_user
    FOR EACH ROW EXECUTE FUNCTION public.refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.staff_user
    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
ALTER TABLE public.staff_user
    ENABLE ALWAYS TRIGGER refuse_change,
    ENABLE ALWAYS TRIGGER refuse_removal,
    ENABLE ALWAYS TRIGGER refuse_truncate;
