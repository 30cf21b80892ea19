"""What an application asks of its database: queries with their parameter sets, and the files that hold them."""
