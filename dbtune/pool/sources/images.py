"""Container images that are no part of the application: PostgreSQL, poolers, and others that hold no connections."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from dbtune.pool.fleet import Fact, Pooler
from dbtune.pool.sources import pgbouncer_ini

_OTHERS = re.compile(
    r"redis|valkey|rabbitmq|memcached|kafka|zookeeper|nginx|traefik|caddy|haproxy|envoy|istio|elasticsearch|opensearch"
    r"|mysql|mariadb|mongo|minio|localstack|mailhog|mailpit|maildev|smtp|prometheus|grafana|jaeger|otel|loki|vector"
    r"|adminer|pgadmin|cloud-?sql|gce-proxy|alpine-curl|curlimages|busybox|node:|selenium|certbot|vault|consul|flower"
    r"|exporter|statsd|fluent|datadog|newrelic|sentry"
)
_SERVER = re.compile(r"postgres|postgis|timescale|pgvector|supabase/postgres|cloudnative-pg|spilo")
_NOT_SERVER = re.compile(r"exporter|postgrest|pgadmin|backup|bouncer|pool|meta|client|operator")
_LIMIT = re.compile(r"(?:-c\s*|--)max[_-]connections\s*=\s*['\"]?(\d{1,6})|(?:^|\s)-N\s*(\d{1,6})")
_BY_VARIABLE = ("POSTGRESQL_MAX_CONNECTIONS", "POSTGRES_MAX_CONNECTIONS", "PG_MAX_CONNECTIONS", "MAX_CONNECTIONS")

Kind = Literal["server", "pooler", "other", "application"]


def kind_of(image: str) -> Kind:
    """Return what an image is by its name; what is not known is taken for the application."""
    lower = image.lower()
    if "bouncer" in lower:
        return "pooler"
    if _SERVER.search(lower) and not _NOT_SERVER.search(lower):
        return "server"
    return "other" if _OTHERS.search(lower) else "application"


def max_connections(
    command: str | Sequence[str] | None, environment: Mapping[str, Fact[str]], source: str
) -> Fact[int] | None:
    """Return the max_connections that a server's container is started with, None where it does not say."""
    words = command if isinstance(command, str) else " ".join(command or ())
    if (found := _LIMIT.search(words)) is not None:
        return Fact(int(found.group(1) or found.group(2)), source)
    for name in _BY_VARIABLE:
        if name in environment and re.fullmatch(r"\d{1,6}", environment[name].value):
            return Fact(int(environment[name].value), environment[name].source)
    return None


def pooler(name: str, environment: Mapping[str, Fact[str]], source: str) -> Pooler:
    """Return the pooler of a container, which its image sets up by variables: PGBOUNCER_DEFAULT_POOL_SIZE and so on."""
    said = {}
    for variable, fact in environment.items():
        setting = variable.lower().removeprefix("pgbouncer_")
        said[setting] = fact
    return pgbouncer_ini.pooler(name, said, (), source)
