"""What a planner knows of a database, as one file: schema, statistics, sizes, settings; none of its rows."""
