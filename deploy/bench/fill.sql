-- psql -v mib=N: about N MiB of what databases hold, a part of it hard to compress.
-- Text 35 %, JSON 30 %, random bytes 20 %, numbers 15 %, their keys included.
SELECT setseed(0.5) \g /dev/null

CREATE TABLE notes (id integer PRIMARY KEY, title text, body text, written_at timestamptz);
CREATE TABLE events (id integer PRIMARY KEY, payload jsonb);
CREATE TABLE files (id integer PRIMARY KEY, name text, content bytea);
CREATE TABLE measurements (id integer PRIMARY KEY, sensor integer, at timestamptz, value double precision, raw numeric);

-- Each aggregate names n, so that every row gets words and bytes of its own.
INSERT INTO notes
SELECT n, 'Note ' || n,
       (SELECT string_agg((ARRAY['harbour', 'quay', 'tide', 'Ærø', 'rope', 'captain', 'of', 'the', 'and', 'keel', 'bei', 'Flut',
                                 'anchor', 'mast', 'lantern', 'salt', 'north', 'wind', 'über', 'chart', 'hull', 'deck', 'pier', 'gull'
                                ])[1 + floor(random() * 24)::int], ' ') FROM generate_series(1, 110 + 0 * n)),
       timestamptz '2024-01-01 00:00+00' + n * interval '1 minute'
FROM generate_series(1, :mib * 490) AS n;

INSERT INTO events
SELECT n, jsonb_build_object(
           'id', md5(n::text), 'kind', (ARRAY['created', 'paid', 'shipped', 'viewed'])[1 + n % 4],
           'amount', round((random() * 1000)::numeric, 2), 'user', jsonb_build_object('id', n % 9973, 'name', 'user ' || n % 9973),
           'tags', jsonb_build_array('a' || n % 17, 'b' || n % 29), 'trace', md5(random()::text),
           'client', 'Mozilla/5.0 (X11; Linux x86_64) version ' || n % 40)
FROM generate_series(1, :mib * 850) AS n;

INSERT INTO files
SELECT n, 'file-' || n || '.bin', (SELECT string_agg(sha512((n || '/' || i)::bytea), '') FROM generate_series(1, 24) AS i)
FROM generate_series(1, :mib * 120) AS n;

INSERT INTO measurements
SELECT n, n % 500, timestamptz '2025-01-01 00:00+00' + n * interval '1 second', random() * 100, round((random() * 1e6)::numeric, 4)
FROM generate_series(1, :mib * 1650) AS n;

CREATE INDEX ON notes (written_at);
VACUUM ANALYZE;
