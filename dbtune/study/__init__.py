"""The report of 2019, run again: arms that are predicted, then measured, on a server and a service of their own."""
