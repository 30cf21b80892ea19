"""Kubernetes, Helm, compose and pgbouncer.ini, as people write them."""

from __future__ import annotations

from dbtune.pool.budget import Moment, budget
from dbtune.pool.sources import folder
from tests.pool.sources.conftest import Write

ENGINE = (
    "from sqlalchemy import create_engine\nengine = create_engine('postgresql://h/d', pool_size=3, max_overflow=2)\n"
)
CONTAINER = """
      containers:
        - name: app
          image: shop
          command: ["gunicorn", "-w", "2", "app:app"]
"""


def test_kinds_of_workloads_and_their_surge(write: Write) -> None:
    text = f"""
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: stateful}}
spec:
  replicas: 4
  template:
    spec: {CONTAINER}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: recreated}}
spec:
  replicas: 4
  strategy: {{type: Recreate}}
  template:
    spec: {CONTAINER}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: usual}}
spec:
  replicas: 4
  template:
    spec:
      terminationGracePeriodSeconds: 0 {CONTAINER}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{name: s}}
spec:
  scaleTargetRef: {{name: usual}}
  maxReplicaCount: 10
---
apiVersion: batch/v1
kind: Job
metadata: {{name: migrate}}
spec:
  template:
    spec:
      containers: [{{name: m, image: shop, command: [alembic, upgrade, head]}}]
"""
    found = folder.read(write({"all.yaml": text, "app.py": ENGINE}))
    told = {each.name: (each.at_rest, each.in_deploy) for each in found.fleet.services}
    assert told["stateful"] == (40, 40)  # a pod ends before another begins
    assert told["recreated"] == (40, 40)
    assert told["usual"] == (100, 130)  # 25 % of ten, rounded up
    assert [(each.name, each.is_deploy_only) for each in found.fleet.extras] == [("migrations", True)]


def test_a_proxy_s_timeout_and_a_config_map(write: Write) -> None:
    text = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {POOL: "9"}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations: {nginx.ingress.kubernetes.io/proxy-read-timeout: "20"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      containers:
        - name: app
          image: shop
          command: ["gunicorn", "app:app"]
          envFrom: [{configMapRef: {name: settings}}]
"""
    code = """
        import os
        from sqlalchemy import create_engine
        e = create_engine("postgresql://h/d", pool_size=int(os.environ["POOL"]))
    """
    found = folder.read(write({"all.yaml": text, "app.py": code}))
    assert found.fleet.services[0].per_process == 19
    assert found.clues.proxy_timeout is not None
    assert found.clues.proxy_timeout.value == 20


def test_a_chart_by_its_values(write: Write) -> None:
    found = folder.read(
        write(
            {
                "chart/Chart.yaml": "name: shop\n",
                "chart/values.yaml": """
                    replicaCount: 2
                    autoscaling: {enabled: true, maxReplicas: 5}
                    command: ["gunicorn", "-w", "2", "app:app"]
                    env: {POOL: "4"}
                """,
                "chart/values-prod.yaml": "autoscaling: {enabled: true, maxReplicas: 9}\n",
                "chart/values-dev.yaml": "autoscaling: {enabled: false}\n",
                "chart/templates/deployment.yaml": "kind: Deployment\nspec: {{ .Values.replicaCount }}\n",
                "app.py": ENGINE,
            }
        )
    )
    (service,) = found.fleet.services
    assert service.pods.value == 9
    assert service.pods.source.startswith("chart/values-prod.yaml:1")
    assert service.at_rest == 9 * 2 * 5
    told = [str(note) for note in found.notes]
    assert any("values-dev.yaml: is left out" in note for note in told)
    assert any("templates are not filled in" in note for note in told)


def test_a_pooler_between_services_and_server(write: Write) -> None:
    found = folder.read(
        write(
            {
                "compose.yaml": """
                    services:
                      web:
                        command: gunicorn -w 4 app:app
                        environment: {DATABASE_URL: "postgresql://u:p@pgbouncer:6432/shop"}
                """,
                "pgbouncer/pgbouncer.ini": """
                    ;; the shop's
                    [databases]
                    shop = host=db dbname=shop pool_size=12
                    * = host=db
                    [pgbouncer]
                    pool_mode = transaction
                    default_pool_size = 7
                    max_client_conn = 15
                    max_prepared_statements = 0
                """,
                "app.py": "import os\nfrom sqlalchemy import create_engine\n"
                "e = create_engine(os.environ['DATABASE_URL'], pool_size=3, max_overflow=2)\n",
            }
        )
    )
    (pooler,) = found.fleet.poolers
    assert (pooler.mode.value, pooler.per_process, pooler.clients) == ("transaction", 12 + 7, 15)
    assert pooler.mode.source == "pgbouncer/pgbouncer.ini:6"
    assert found.fleet.services[0].via == pooler.name
    sums = budget(found.fleet)
    assert sums.server(Moment.DEPLOY).total == 19
    assert [(each.of, each.total, each.usable) for each in sums.broken] == [("max_client_conn of pgbouncer", 20, 15)]


def test_a_compose_file_and_what_is_put_over_it(write: Write) -> None:
    base = """
        services:
          web:
            command: gunicorn -w 2 app:app
            deploy: {replicas: 2}
          cache: {image: redis}
    """
    found = folder.read(write({"docker-compose.yml": base, "app.py": ENGINE}))
    assert [(each.name, each.at_rest) for each in found.fleet.services] == [("web", 20)]
