-- The four group roles. Nobody logs in as one; logins are members.
--
-- They belong to the cluster, not to one database, so all databases of it share them. A DBA who keeps CREATEROLE
-- from the login that migrates runs this file first, and then, for that login:
--   GRANT tracking_owner, tracking_app, tracking_sealer, tracking_auditor TO <login> WITH INHERIT TRUE, SET TRUE;
DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY[
        'tracking_owner',    -- owns every table; only migrations act as it
        'tracking_app',      -- issues: INSERT and SELECT
        'tracking_sealer',   -- builds the log
        'tracking_auditor'   -- reads
    ] LOOP
        IF to_regrole(role) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role);
            EXCEPTION
                -- Another database of this cluster migrates at the same moment, and was first.
                WHEN duplicate_object OR unique_violation THEN NULL;
                WHEN insufficient_privilege THEN
                    RAISE EXCEPTION 'The role % is missing, and % may not create roles.', role, current_user
                        USING ERRCODE = 'insufficient_privilege',
                              HINT = 'Have a superuser run ledger/sql/roles.sql, which says what else to grant.';
            END;
        END IF;
    END LOOP;
END $$;
