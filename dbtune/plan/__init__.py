"""Reading PostgreSQL's plans: the tree, its arithmetic, what it tells."""
