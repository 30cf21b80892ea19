"""The checks, a module for each thing that they are about; each module has ``CHECKS``. They ask no server."""
