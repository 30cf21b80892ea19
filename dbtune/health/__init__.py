"""The health of a database: catalogs and counters read twice, and a catalogue of checks that judge them.

Reading is at the edge (:mod:`reading`, :mod:`replicas`, :mod:`history_file`); every judgement is made on values.
"""
