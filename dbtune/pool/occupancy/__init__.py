"""Who holds a server's connections, and why: values of :mod:`dbtune.server.situation`, put together and judged."""
