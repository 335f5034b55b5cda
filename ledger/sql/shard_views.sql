-- What a database shows to a coordinator, which reads several of them as one (docs/scaling.md): its log, as relations that
-- can be told apart. Each row has its serial or, where there is none, the number of the shard, by which PostgreSQL picks
-- the shards to ask. That number is what the coordinator says in its connection (tracking.shard), after it has checked it.

CREATE VIEW public.shard_log AS
    SELECT current_setting('tracking.shard')::smallint AS shard, s.size, s.published_size,
           coalesce((SELECT r.last_serial FROM public.run r WHERE r.first_leaf < s.published_size
                      ORDER BY r.first_serial DESC LIMIT 1), -1) AS top -- no published leaf has a higher serial
      FROM public.tree_state s;

-- Each event, and which leaf it is: as ledger/lookup.py and ledger/reading.py ask within one database, and in one go, for
-- each step of it would be a way to the shard and back. `tile` is the one that has the leaf's hash.
CREATE VIEW public.shard_leaf AS
    SELECT e.number, e.serial, e.customer_tag, e.customer_key_id, e.origin, e.destination, e.weight_band,
           e.order_created_at, e.requested_at, e.request_id, e.principal, p.leaf_index,
           substr(coalesce(t.hashes, CASE WHEN s.size >> 8 = p.leaf_index >> 8 THEN s.edge[1] END),
                  (p.leaf_index & 255)::integer * 32 + 1, 32) AS leaf_hash,
           coalesce(t.hashes, CASE WHEN s.size >> 8 = p.leaf_index >> 8 THEN s.edge[1] END) AS tile,
           s.published_size, s.published_root, s.published_signature
      FROM public.issuance_event e
     CROSS JOIN public.tree_state s
      LEFT JOIN LATERAL (SELECT first_leaf, first_serial, last_serial, leaves FROM public.run
                          WHERE first_serial <= e.serial ORDER BY first_serial DESC LIMIT 1) r
             ON r.last_serial >= e.serial
      LEFT JOIN LATERAL (
           SELECT r.first_leaf + CASE
                      WHEN r.leaves = r.last_serial - r.first_serial + 1 THEN e.serial - r.first_serial
                      ELSE (SELECT count(*) FROM public.issuance_event b
                             WHERE b.serial >= r.first_serial AND b.serial < e.serial)
                  END AS leaf_index OFFSET 0) p ON true
      LEFT JOIN public.tile t ON t.level = 0 AND t.position = p.leaf_index >> 8;

-- The first checkpoint over the leaf of each event, as ledger/checkpoints.py asks, which says why by windows.
CREATE VIEW public.shard_sealed AS
    SELECT l.serial, c.size, c.signature,
           coalesce((SELECT max(size) FROM public.checkpoint WHERE size > l.leaf_index - 2048 AND size <= l.leaf_index),
                    greatest(l.leaf_index - 2048, 0)) AS first_leaf, -- it is known to be the first over these, too
           ARRAY(SELECT substr(coalesce(t.hashes,
                                        CASE WHEN s.size >> 8 * (n + 1) = c.size >> 8 * (n + 1) THEN s.edge[n + 1] END),
                               1, (c.size >> 8 * n & 255)::integer * 32)
                   FROM generate_series(0, 7) AS n
                   LEFT JOIN public.tile t ON t.level = n AND t.position = c.size >> 8 * (n + 1)
                  WHERE c.size >> 8 * n & 255 > 0 ORDER BY n) AS hashes -- the tiles of its root
      FROM public.shard_leaf l
     CROSS JOIN public.tree_state s
      LEFT JOIN LATERAL (
           (SELECT size, signature FROM public.checkpoint
             WHERE size > l.leaf_index AND size <= l.leaf_index + 2048 ORDER BY size LIMIT 1)
            UNION ALL
           (SELECT size, signature FROM public.checkpoint
             WHERE size > l.leaf_index AND size <= l.leaf_index + 16384 ORDER BY size LIMIT 1)
            UNION ALL
           (SELECT size, signature FROM public.checkpoint
             WHERE size > l.leaf_index AND size <= l.leaf_index + 131072 ORDER BY size LIMIT 1)
            UNION ALL
           (SELECT size, signature FROM public.checkpoint
             WHERE size > l.leaf_index AND size <= l.published_size ORDER BY size LIMIT 1)
            LIMIT 1) c ON true;

-- Full tiles, and those that grow.
CREATE VIEW public.shard_tile AS
    SELECT current_setting('tracking.shard')::smallint AS shard, level, position, hashes FROM public.tile
     UNION ALL
    SELECT current_setting('tracking.shard')::smallint, (n - 1)::smallint, s.size >> 8 * n, s.edge[n]
      FROM public.tree_state s CROSS JOIN LATERAL generate_series(1, cardinality(s.edge)) AS n;

ALTER VIEW public.shard_log    OWNER TO tracking_owner;
ALTER VIEW public.shard_leaf   OWNER TO tracking_owner;
ALTER VIEW public.shard_sealed OWNER TO tracking_owner;
ALTER VIEW public.shard_tile   OWNER TO tracking_owner;
REVOKE ALL ON public.shard_log, public.shard_leaf, public.shard_sealed, public.shard_tile FROM PUBLIC;
GRANT SELECT ON public.shard_log, public.shard_leaf, public.shard_sealed, public.shard_tile TO tracking_auditor;
