"""The same load as a plan of another tool's: Locust, k6, JMeter.

``plan`` writes out which request goes when; the tools' modules say it in their own words.
"""

from __future__ import annotations

from enum import StrEnum


class Tool(StrEnum):
    """A tool for which a plan can be written."""

    LOCUST = "locust"
    K6 = "k6"
    JMETER = "jmeter"
