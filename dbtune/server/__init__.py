"""The edge towards PostgreSQL: connecting, and reading its catalogs and statistics views."""
