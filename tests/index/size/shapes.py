"""Tables of many shapes, the same on every run: what looks random is a hash, and ANALYZE reads all of their rows."""

from __future__ import annotations

ROWS = 30_000
"""As many rows as ANALYZE reads of a table, so that no statistics depend on chance."""

_WORDS = "ARRAY['" + "','".join(
    """river stone garden winter letter window silver market bridge forest candle mirror pocket ribbon summer tunnel
    village wagon yellow anchor basket castle dragon engine feather glacier harbour island jungle kettle lantern meadow
    needle orchard pencil quarry rocket saddle temple umbrella valley whistle zephyr blanket cottage diamond emerald
    falcon granite horizon ivory jasmine kingdom legend marble nectar opal phantom quiver raven sapphire thunder
    """.split()
) + "']"  # fmt: skip


def _words(seed: str, number: int) -> str:
    return " || ' ' || ".join(f"word('{seed}{at}' || g)" for at in range(number))


SETUP = (
    "CREATE TYPE kind AS ENUM ('small', 'medium', 'large')",
    """
    CREATE FUNCTION pick(seed text, below int) RETURNS int IMMUTABLE LANGUAGE sql
        AS 'SELECT pg_catalog.mod(pg_catalog.abs(pg_catalog.hashtext(seed)::bigint), below)::int'
    """,
    f"""
    CREATE FUNCTION word(seed text) RETURNS text IMMUTABLE LANGUAGE sql
        AS $$ SELECT ({_WORDS})[1 + floor(64 * power(pick(seed, 10000) / 10000.0::float8, 1.7))::int] $$
    """,
    """
    CREATE TABLE item (
        id int NOT NULL, shuffled int, owner int, status text, code varchar(40), price numeric(10,2), weight numeric,
        at timestamptz, day date, token uuid, note text, flag boolean, size kind, ratio double precision, name text,
        email text, small smallint, big bigint, pair int, half int, fixed char(12), label text COLLATE "C", long text,
        gone int
    )
    """,
    f"""
    INSERT INTO item
    SELECT g, pick('s' || g, 1000000000), floor(3000 * power(pick('o' || g, 100000) / 100000.0, 3)),
           (ARRAY['new', 'paid', 'sent', 'closed', 'refunded'])[1 + pick('t' || g, 5)],
           left(md5(g::text), 5 + pick('c' || g, 26)), pick('p' || g, 1000000) / 100.0,
           pick('w' || g, 1000000) * power(10::numeric, pick('x' || g, 12) - 6),
           timestamptz '2024-01-01 00:00+00' + g * interval '7 min', date '2024-01-01' + pick('d' || g, 400),
           md5('u' || g)::uuid, CASE WHEN pick('n' || g, 10) = 0 THEN 'note ' || g END, pick('f' || g, 20) = 0,
           (ARRAY['small', 'medium', 'large'])[1 + pick('k' || g, 3)]::kind, pick('r' || g, 1000000) / 7.0,
           {_words("n", 2)}, {_words("e", 1)} || '.' || pick('m' || g, 100000) || '@Example.org',
           pick('i' || g, 300), pick('b' || g, 9000), g / 2, pick('h' || g, 15000), left(md5('y' || g), 12),
           {_words("l", 1)},
           left(repeat(md5('a' || g) || md5('b' || g) || md5('c' || g), 3), 60 + pick('z' || g, 200)), NULL
      FROM generate_series(1, 30000) AS g
    """,
    "CREATE TABLE paper (id int, doc jsonb, tags text[], numbers int[], body text, words tsvector, title text)",
    f"""
    INSERT INTO paper
    SELECT g, jsonb_build_object('state', (ARRAY['open', 'closed', 'draft'])[1 + pick('s' || g, 3)],
                                 'customer', pick('c' || g, 1500), 'mail', {_words("m", 1)} || g || '@example.org',
                                 'size', jsonb_build_object('w', pick('w' || g, 40), 'h', pick('h' || g, 40)),
                                 'tags', to_jsonb(string_to_array({_words("t", 3)}, ' '))),
           (string_to_array({_words("a", 6)}, ' '))[1:1 + pick('n' || g, 6)],
           ARRAY[pick('x' || g, 9000), pick('y' || g, 9000), pick('z' || g, 9000)],
           {_words("b", 12)}, to_tsvector('simple', {_words("b", 12)} || ' nr' || pick('q' || g, 20000)),
           initcap({_words("t", 3)}) || ' ' || md5(g::text)
      FROM generate_series(1, 30000) AS g
    """,
    """
    CREATE TABLE stay (id int, room int, during int4range, days daterange, place point, spot box, source inet)
    """,
    """
    INSERT INTO stay
    SELECT g, pick('r' || g, 500), int4range(g * 10, g * 10 + 5 + pick('l' || g, 100)),
           daterange(date '2020-01-01' + pick('d' || g, 2000), date '2020-01-02' + pick('d' || g, 2000) + 7),
           point(pick('x' || g, 100000), pick('y' || g, 100000)),
           box(point(pick('x' || g, 100000), pick('y' || g, 100000)),
               point(pick('x' || g, 100000) + 10, pick('y' || g, 100000) + 10)),
           ('10.' || pick('i' || g, 256) || '.' || pick('j' || g, 256) || '.' || pick('k' || g, 256))::inet
      FROM generate_series(1, 30000) AS g
    """,
    "CREATE TABLE event (id int, at timestamptz, owner int) PARTITION BY RANGE (at)",
    "CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM ('2024-01-01 00:00+00') TO ('2024-02-01 00:00+00')",
    "CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM ('2024-02-01 00:00+00') TO ('2024-07-01 00:00+00')",
    """
    INSERT INTO event SELECT g, timestamptz '2024-01-01 00:00+00' + g * interval '8 min', pick('v' || g, 700)
      FROM generate_series(1, 30000) AS g
    """,
    "CREATE TABLE wide (id int, owner int, code text, seen timestamptz, filler text)",
    """
    INSERT INTO wide SELECT g, pick('o' || g, 400), md5(g::text), timestamptz '2024-01-01 00:00+00' + g * interval '1s',
           repeat('x', 900)
      FROM generate_series(1, 30000) AS g
    """,
    "CREATE TABLE bare (id int, name text)",
    "CREATE TABLE tree (id bigint, code text)",
    "INSERT INTO tree SELECT g, 'node ' || md5(g::text) FROM generate_series(1, 180000) AS g",
)
"""Statements to be run in order; then comes ANALYZE."""
