"""Connection pools: what a fleet asks of a server, and what success and waiting to expect. No server is needed.

``curve`` is the server's throughput X(n), ``queue`` the closed forms, ``simulation`` the same by events where their
assumptions fail, ``prediction`` chooses between them, ``recovery`` says what a burst does, ``fleet`` adds up.
"""
