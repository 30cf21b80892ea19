"""What is read of a server, as values: one module a noun, fields as the statement in dbtune/sql names them."""
