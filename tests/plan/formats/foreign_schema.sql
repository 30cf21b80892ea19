CREATE EXTENSION postgres_fdw;
CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{host}', port '{port}', dbname 'formats', use_remote_estimate 'true');
CREATE USER MAPPING FOR CURRENT_USER SERVER here OPTIONS (user '{user}');
CREATE FOREIGN TABLE far_item (id int, kind int, name text, note text, parent int) SERVER here OPTIONS (table_name 'item');
CREATE TABLE far_part (id int, at date) PARTITION BY RANGE (id);
CREATE FOREIGN TABLE far_part_1 PARTITION OF far_part FOR VALUES FROM (0) TO (1000) SERVER here OPTIONS (table_name 'part_1');
CREATE FOREIGN TABLE far_part_2 PARTITION OF far_part FOR VALUES FROM (1000) TO (2000) SERVER here OPTIONS (table_name 'part_2');
CREATE TABLE far_part_3 PARTITION OF far_part FOR VALUES FROM (2000) TO (3000);
