-- pgbench: the same row, one at a time. Start it with -D n=0; n counts the rows of one client.
\set n :n + 1
\set serial :client_id * 2147483648 + :n
\set payload permute(:serial, 8796093022208)
\set customer random_zipfian(1, 2000, 1.01)
\set route random_zipfian(1, 60, 1.01)
\set seconds random(0, 150000000)
INSERT INTO issuance_event (number, serial, customer_tag, customer_key_id, origin, destination, weight_band, order_created_at, requested_at, request_id) VALUES (upper(lpad(to_hex(:payload::bigint), 11, '0')) || chr(64 + (:route % 26)::int + 1) || 'YID0', :serial, sha256(int8send(:customer)), 1, chr(64 + (:route % 26)::int + 1) || 'Y', 'ID', (:route % 11)::smallint, to_timestamp(1500000000 + :seconds), clock_timestamp(), gen_random_uuid());
