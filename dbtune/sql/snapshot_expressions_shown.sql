/* dbtune */
-- Statistics of the expressions in extended statistics as pg_stats_ext_exprs shows them to the tables' owners,
-- PostgreSQL 14+. at counts expressions from 1, in the order of the definition; inherited came with 15.
SELECT s.statistics_schemaname::text AS schema, s.statistics_name::text AS name, /* inherited */ false AS inherited,
       e.at::int AS at, s.null_frac, s.avg_width, s.n_distinct,
       s.most_common_vals::text AS most_common_vals, s.most_common_freqs,
       s.histogram_bounds::text AS histogram_bounds, s.correlation,
       s.most_common_elems::text AS most_common_elems, s.most_common_elem_freqs, s.elem_count_histogram,
       NULL::text AS range_length_histogram, NULL::real AS range_empty_frac, NULL::text AS range_bounds_histogram
  FROM pg_stats_ext_exprs AS s
  JOIN pg_namespace AS n ON n.nspname = s.statistics_schemaname
  JOIN pg_statistic_ext AS x ON x.stxnamespace = n.oid AND x.stxname = s.statistics_name
  JOIN LATERAL unnest(pg_get_statisticsobjdef_expressions(x.oid)) WITH ORDINALITY AS e (expression, at)
    ON e.expression = s.expr
