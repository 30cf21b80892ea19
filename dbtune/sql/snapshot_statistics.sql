/* dbtune */
-- pg_stats of tables' columns and indexes' expressions, PostgreSQL 13+. Rows whose column the role may not SELECT, or
-- that row security hides, are not there. Those of range types came with 17 (and not to pg_stats of older ones).
SELECT s.schemaname::text AS schemaname, s.tablename::text AS tablename, s.attname::text AS attname, s.inherited,
       s.null_frac, s.avg_width, s.n_distinct,
       s.most_common_vals::text AS most_common_vals, s.most_common_freqs,
       s.histogram_bounds::text AS histogram_bounds, s.correlation,
       s.most_common_elems::text AS most_common_elems, s.most_common_elem_freqs, s.elem_count_histogram,
       /* range_length_histogram */ NULL::text AS range_length_histogram,
       /* range_empty_frac */ NULL::real AS range_empty_frac,
       /* range_bounds_histogram */ NULL::text AS range_bounds_histogram
  FROM pg_stats AS s
 WHERE s.schemaname !~ '^pg_' AND s.schemaname <> 'information_schema'
