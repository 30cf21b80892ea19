/* dbtune */
-- Statistics of the expressions in extended statistics, for who may read pg_statistic_ext_data, PostgreSQL 14+: what
-- pg_stats_ext_exprs shows to the tables' owners, decoded as that view does. at counts expressions from 1.
-- Kinds (pg_statistic.h): 1 most common values, 2 histogram, 3 correlation, 4 most common elements, 5 counts of
-- elements, 6 lengths of ranges, 7 bounds of ranges.
SELECT d.stxoid AS oid, /* stxdinherit */ false AS inherited, e.at::int AS at,
       e.stanullfrac AS null_frac, e.stawidth AS avg_width, e.stadistinct AS n_distinct,
       max(k.vals) FILTER (WHERE k.kind = 1) AS most_common_vals,
       max(k.numbers::text) FILTER (WHERE k.kind = 1)::real[] AS most_common_freqs,
       max(k.vals) FILTER (WHERE k.kind = 2) AS histogram_bounds,
       max(k.numbers[1]) FILTER (WHERE k.kind = 3) AS correlation,
       max(k.vals) FILTER (WHERE k.kind = 4) AS most_common_elems,
       max(k.numbers::text) FILTER (WHERE k.kind = 4)::real[] AS most_common_elem_freqs,
       max(k.numbers::text) FILTER (WHERE k.kind = 5)::real[] AS elem_count_histogram,
       max(k.vals) FILTER (WHERE k.kind = 6) AS range_length_histogram,
       max(k.numbers[1]) FILTER (WHERE k.kind = 6) AS range_empty_frac,
       max(k.vals) FILTER (WHERE k.kind = 7) AS range_bounds_histogram
  FROM pg_statistic_ext_data AS d
 CROSS JOIN LATERAL unnest(d.stxdexpr) WITH ORDINALITY
       AS e (starelid, staattnum, stainherit, stanullfrac, stawidth, stadistinct,
             stakind1, stakind2, stakind3, stakind4, stakind5, staop1, staop2, staop3, staop4, staop5,
             stacoll1, stacoll2, stacoll3, stacoll4, stacoll5,
             stanumbers1, stanumbers2, stanumbers3, stanumbers4, stanumbers5,
             stavalues1, stavalues2, stavalues3, stavalues4, stavalues5, at)
 CROSS JOIN LATERAL (VALUES (e.stakind1, e.stanumbers1, e.stavalues1::text), (e.stakind2, e.stanumbers2, e.stavalues2::text),
                            (e.stakind3, e.stanumbers3, e.stavalues3::text), (e.stakind4, e.stanumbers4, e.stavalues4::text),
                            (e.stakind5, e.stanumbers5, e.stavalues5::text)) AS k (kind, numbers, vals)
 WHERE d.stxoid = ANY (:oids)
 GROUP BY d.stxoid, 2, e.at, e.stanullfrac, e.stawidth, e.stadistinct
 ORDER BY d.stxoid, 2, e.at
