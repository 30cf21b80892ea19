"""The party service on the web: a Flask application over its data access, and the servers that run it.

``serving.start(settings, server)`` runs it in processes of its own; ``application.create_app`` makes the application.
"""
