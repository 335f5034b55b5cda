-- The log over the events: which event is which leaf, the tree's hashes, and what was signed about it.

-- The tree as it stands: one row, which may only grow. What is published never runs ahead of what is committed.
CREATE TABLE public.tree_state (
    size                bigint  NOT NULL DEFAULT 0,
    published_size      bigint  NOT NULL DEFAULT 0,
    closed_below        bigint  NOT NULL DEFAULT 0, -- every block below it, from the shard's first on, is leased and closed
    singleton           boolean NOT NULL DEFAULT true,
    root                bytea   NOT NULL DEFAULT sha256(''), -- RFC 6962: of a tree without leaves
    published_root      bytea   NOT NULL DEFAULT sha256(''),
    published_signature bytea,  -- null as long as nothing is published
    edge                bytea[] NOT NULL DEFAULT '{}', -- for each level from 0 on, the hashes of its partial tile

    CONSTRAINT tree_state_pkey PRIMARY KEY (singleton),
    CONSTRAINT there_is_one_tree CHECK (singleton),
    CONSTRAINT published_is_committed CHECK (published_size BETWEEN 0 AND size),
    CONSTRAINT closed_blocks_have_31_bits CHECK (closed_below BETWEEN 0 AND 2147483648),
    CONSTRAINT published_is_signed CHECK ((published_size = 0) = (published_signature IS NULL)),
    CONSTRAINT roots_are_sha256 CHECK (octet_length(root) = 32 AND octet_length(published_root) = 32),
    CONSTRAINT published_signature_is_ed25519 CHECK (octet_length(published_signature) = 64)
);
ALTER TABLE public.tree_state ALTER COLUMN edge SET STORAGE EXTERNAL; -- hashes don't compress
-- Written anew at each tick, so that it is vacuumed often, and in place as long as its page has room.
ALTER TABLE public.tree_state SET (
    fillfactor = 10, autovacuum_vacuum_threshold = 500, toast.autovacuum_vacuum_threshold = 500
);
INSERT INTO public.tree_state DEFAULT VALUES;

-- How far each block was read: above its cursor its events are not in the log yet, and a closed block gets no more.
CREATE TABLE public.block_cursor (
    block       bigint  NOT NULL,
    last_serial bigint  NOT NULL, -- of the last leaf; one less than the block's first serial if it has none
    closed      boolean NOT NULL,

    CONSTRAINT block_cursor_pkey PRIMARY KEY (block),
    CONSTRAINT block_has_31_bits CHECK (block BETWEEN 0 AND 2147483647),
    CONSTRAINT cursor_is_in_its_block CHECK (last_serial BETWEEN block * 1024 - 1 AND block * 1024 + 1023)
);

-- Which events are which leaves: the events with serials from first to last are the leaves from first_leaf on, in
-- serial order. A run belongs to one block; serials that it skips belong to no leaf.
CREATE TABLE public.run (
    first_leaf   bigint   NOT NULL,
    first_serial bigint   NOT NULL,
    last_serial  bigint   NOT NULL,
    leaves       smallint NOT NULL,

    CONSTRAINT run_pkey PRIMARY KEY (first_serial),
    CONSTRAINT run_first_leaf_key UNIQUE (first_leaf),
    CONSTRAINT run_has_a_place CHECK (first_leaf >= 0 AND first_serial >= 0 AND last_serial <= 2199023255551),
    CONSTRAINT run_is_in_one_block CHECK (first_serial >> 10 = last_serial >> 10),
    CONSTRAINT run_has_room_for_its_leaves CHECK (leaves BETWEEN 1 AND last_serial - first_serial + 1)
);

-- Full tiles (c2sp.org/tlog-tiles): 256 hashes, the position-th of their level.
CREATE TABLE public.tile (
    position bigint   NOT NULL,
    level    smallint NOT NULL,
    hashes   bytea    NOT NULL,

    CONSTRAINT tile_pkey PRIMARY KEY (level, position),
    CONSTRAINT tile_is_full CHECK (octet_length(hashes) = 8192),
    CONSTRAINT tile_level_is_known CHECK (level BETWEEN 0 AND 63 AND position >= 0)
);
ALTER TABLE public.tile ALTER COLUMN hashes SET STORAGE EXTERNAL;

-- Every checkpoint that was published: the signature of the tree of that size. Its root follows from the tiles.
-- A block range index, since one event a second makes one checkpoint a second, and a b-tree would add a fifth.
CREATE TABLE public.checkpoint (
    size      bigint NOT NULL,
    signature bytea  NOT NULL,

    CONSTRAINT checkpoint_has_leaves CHECK (size > 0),
    CONSTRAINT signature_is_ed25519 CHECK (octet_length(signature) = 64)
);
CREATE INDEX checkpoint_size ON public.checkpoint USING brin (size) WITH (pages_per_range = 16, autosummarize = on);

ALTER TABLE public.tree_state   OWNER TO tracking_owner;
ALTER TABLE public.block_cursor OWNER TO tracking_owner;
ALTER TABLE public.run          OWNER TO tracking_owner;
ALTER TABLE public.tile         OWNER TO tracking_owner;
ALTER TABLE public.checkpoint   OWNER TO tracking_owner;
REVOKE ALL ON public.tree_state, public.block_cursor, public.run, public.tile, public.checkpoint FROM PUBLIC;
GRANT SELECT ON public.tree_state, public.block_cursor, public.run, public.tile, public.checkpoint
    TO tracking_app, tracking_sealer, tracking_auditor;
GRANT INSERT ON public.block_cursor, public.run, public.tile, public.checkpoint TO tracking_sealer;
GRANT UPDATE (size, published_size, closed_below, root, published_root, published_signature, edge)
    ON public.tree_state TO tracking_sealer;
GRANT UPDATE (last_serial, closed) ON public.block_cursor TO tracking_sealer;
GRANT UPDATE (last_serial, leaves) ON public.run TO tracking_sealer; -- the newest, where its block simply goes on

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON public.tile
    FOR EACH ROW EXECUTE FUNCTION public.refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.tile
    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
ALTER TABLE public.tile ENABLE ALWAYS TRIGGER refuse_change, ENABLE ALWAYS TRIGGER refuse_truncate;

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON public.checkpoint
    FOR EACH ROW EXECUTE FUNCTION public.refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();
ALTER TABLE public.checkpoint ENABLE ALWAYS TRIGGER refuse_change, ENABLE ALWAYS TRIGGER refuse_truncate;

-- The refusal of the tables that change as the log grows. Like refuse_change, it asks no setting.
CREATE FUNCTION public.refuse_shrinking() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION '% on %.% is refused: the log only grows, and what it says of its leaves stays.',
        TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'object_not_in_prerequisite_state',
              HINT = 'Only the sealer writes here. `manage.py verify_ledger` says whether the log fits its events.';
END $$;
ALTER FUNCTION public.refuse_shrinking() OWNER TO tracking_owner;
REVOKE ALL ON FUNCTION public.refuse_shrinking() FROM PUBLIC;

-- A run that goes on: each further leaf is a further serial, or the leaves before it would become others.
CREATE TRIGGER refuse_shrinking BEFORE UPDATE ON public.run FOR EACH ROW
    WHEN ((NEW.first_leaf, NEW.first_serial) <> (OLD.first_leaf, OLD.first_serial)
        OR NEW.leaves < OLD.leaves
        OR NEW.leaves - OLD.leaves <> NEW.last_serial - OLD.last_serial)
    EXECUTE FUNCTION public.refuse_shrinking();
CREATE TRIGGER refuse_removal BEFORE DELETE ON public.run
    FOR EACH ROW EXECUTE FUNCTION public.refuse_shrinking();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.run
    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_shrinking();
ALTER TABLE public.run
    ENABLE ALWAYS TRIGGER refuse_shrinking,
    ENABLE ALWAYS TRIGGER refuse_removal,
    ENABLE ALWAYS TRIGGER refuse_truncate;

-- A cursor that went back, or a block that opened again, would make leaves of the same events a second time.
CREATE TRIGGER refuse_shrinking BEFORE UPDATE ON public.block_cursor FOR EACH ROW
    WHEN (OLD.closed OR NEW.block <> OLD.block OR NEW.last_serial < OLD.last_serial)
    EXECUTE FUNCTION public.refuse_shrinking();
CREATE TRIGGER refuse_removal BEFORE DELETE ON public.block_cursor
    FOR EACH ROW EXECUTE FUNCTION public.refuse_shrinking();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.block_cursor
    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_shrinking();
ALTER TABLE public.block_cursor
    ENABLE ALWAYS TRIGGER refuse_shrinking,
    ENABLE ALWAYS TRIGGER refuse_removal,
    ENABLE ALWAYS TRIGGER refuse_truncate;

-- A tree has one root, and what was published of it one signature: another at the same size is another history.
CREATE TRIGGER refuse_shrinking BEFORE UPDATE ON public.tree_state FOR EACH ROW
    WHEN (NEW.size < OLD.size OR NEW.published_size < OLD.published_size OR NEW.closed_below < OLD.closed_below
        OR (NEW.size = OLD.size AND (NEW.root, NEW.edge) <> (OLD.root, OLD.edge))
        OR (NEW.published_size = OLD.published_size
            AND (NEW.published_root, NEW.published_signature)
                IS DISTINCT FROM (OLD.published_root, OLD.published_signature))
        OR (NEW.published_size = NEW.size AND NEW.published_root <> NEW.root))
    EXECUTE FUNCTION public.refuse_shrinking();
CREATE TRIGGER refuse_removal BEFORE DELETE ON public.tree_state
    FOR EACH ROW EXECUTE FUNCTION public.refuse_shrinking();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON public.tree_state
    FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_shrinking();
ALTER TABLE public.tree_state
    ENABLE ALWAYS TRIGGER refuse_shrinking,
    ENABLE ALWAYS TRIGGER refuse_removal,
    ENABLE ALWAYS TRIGGER refuse_truncate;
