-- The group role of whoever counts: it reads the ledger and writes the reports. See ledger/sql/roles.sql for the others.
DO $$
DECLARE
    missing boolean := to_regrole('tracking_reporter') IS NULL;
    -- All of it at once: what this file does itself is undone when it fails.
    advice  text    := format('Have a superuser run: %sGRANT tracking_reporter TO %I WITH INHERIT TRUE, SET TRUE; '
                              'GRANT USAGE ON SCHEMA public TO tracking_reporter;',
                              CASE WHEN missing THEN 'CREATE ROLE tracking_reporter NOLOGIN; ' ELSE '' END,
                              current_user);
BEGIN
    IF missing THEN
        BEGIN
            CREATE ROLE tracking_reporter NOLOGIN;
        EXCEPTION
            -- Another database of this cluster migrates at the same moment, and was first.
            WHEN duplicate_object OR unique_violation THEN NULL;
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'The role tracking_reporter is missing, and % may not create roles.', current_user
                    USING ERRCODE = 'insufficient_privilege', HINT = advice;
        END;
    END IF;
    -- A login with CREATEROLE administers the roles that it made, but is no member of them until it says so.
    IF NOT (pg_has_role('tracking_reporter', 'USAGE') AND pg_has_role('tracking_reporter', 'SET')) THEN
        BEGIN
            GRANT tracking_reporter TO CURRENT_USER WITH INHERIT TRUE, SET TRUE;
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION 'The role tracking_reporter is there, but % is not a member of it.', current_user
                    USING ERRCODE = 'insufficient_privilege', HINT = advice;
        END;
    END IF;
    BEGIN
        GRANT USAGE ON SCHEMA public TO tracking_reporter;
    EXCEPTION
        WHEN insufficient_privilege THEN NULL; -- not ours to grant; what counts is how it stands
    END;
    IF NOT has_schema_privilege('tracking_reporter', 'public', 'USAGE') THEN
        RAISE EXCEPTION 'The role tracking_reporter may not use the schema public, and % may not change it.', current_user
            USING ERRCODE = 'insufficient_privilege', HINT = advice;
    END IF;
END $$;

-- The tables of ledger and issuance belong to the role that the login has just shown itself to be a member of.
GRANT SELECT ON public.issuance_event, public.tree_state, public.block_cursor, public.run, public.tile,
    public.checkpoint, public.number_block, public.django_migrations TO tracking_reporter;
