-- The refusal that every append-only table fires. It asks no setting, so no session can switch it off.
CREATE FUNCTION public.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION '% on %.% is refused: its rows are written once, and never changed or removed.',
        TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'object_not_in_prerequisite_state', -- 55000; not class 23, which blames the data
              HINT = 'Record a new fact instead.';
END $$;

ALTER FUNCTION public.refuse_change() OWNER TO tracking_owner;
REVOKE ALL ON FUNCTION public.refuse_change() FROM PUBLIC;
