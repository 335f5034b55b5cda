-- This database's share of the roles: the login that migrates may act as the owner, and nobody else may create.

-- A login with CREATEROLE administers the roles that it made, but is no member of them until it says so (PostgreSQL 16).
DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['tracking_owner', 'tracking_app', 'tracking_sealer', 'tracking_auditor'] LOOP
        IF NOT (pg_has_role(role, 'USAGE') AND pg_has_role(role, 'SET')) THEN
            EXECUTE format('GRANT %I TO CURRENT_USER WITH INHERIT TRUE, SET TRUE', role);
        END IF;
    END LOOP;
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE EXCEPTION 'The role % is there, but % is not a member of it.', role, current_user
            USING ERRCODE = 'insufficient_privilege',
                  HINT = format('Have a superuser run: GRANT tracking_owner, tracking_app, tracking_sealer, '
                                'tracking_auditor TO %I WITH INHERIT TRUE, SET TRUE;', current_user);
END $$;

-- Whoever may create in a schema on the search path can put a table or function in front of ours.
DO $$
BEGIN
    REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    GRANT USAGE, CREATE ON SCHEMA public TO tracking_owner;
    GRANT USAGE ON SCHEMA public TO tracking_app, tracking_sealer, tracking_auditor;
EXCEPTION
    WHEN insufficient_privilege THEN NULL; -- not ours to grant; what counts is how it stands
END $$;
DO $$
BEGIN
    IF NOT has_schema_privilege('tracking_owner', 'public', 'CREATE')
        OR NOT has_schema_privilege('tracking_app', 'public', 'USAGE')
        OR has_schema_privilege('tracking_app', 'public', 'CREATE')
    THEN
        RAISE EXCEPTION 'The schema public is not as the ledger needs it, and % may not change it.', current_user
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'Have a superuser run: REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT USAGE, CREATE ON '
                         'SCHEMA public TO tracking_owner; GRANT USAGE ON SCHEMA public TO tracking_app, '
                         'tracking_sealer, tracking_auditor;';
    END IF;
END $$;

-- Django made this one before the first migration ran.
ALTER TABLE public.django_migrations OWNER TO tracking_owner;
REVOKE ALL ON public.django_migrations FROM PUBLIC;
GRANT SELECT ON public.django_migrations TO tracking_app, tracking_sealer, tracking_auditor;
