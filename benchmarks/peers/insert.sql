-- pgbench: the same row, one at a time. Start it with -D n=0; n counts the rows of one client.
\set n :n + 1
\set serial :client_id * 1099511627776 + :n
\set number random(0, 4611686018427387903)
\set customer random_zipfian(1, 2000, 1.01)
\set route random_zipfian(1, 60, 1.01)
\set seconds random(0, 150000000)
INSERT INTO issuance_event (number, serial, customer_tag, customer_key_id, origin, destination, weight_band, order_created_at, requested_at, request_id) VALUES (upper(lpad(to_hex(:number::bigint), 16, '0')), :serial, sha256(int8send(:customer)), 1, 'M' || chr(64 + (:route % 26)::int + 1), 'ID', (:route % 11)::smallint, to_timestamp(1500000000 + :seconds), clock_timestamp(), gen_random_uuid());
