"""The ready dashboard and alert rules speak of metrics that there are, with labels that they have."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.metrics_core import Metric

import app.server
from app.metrics import Metrics

STATIC = Path(app.server.__file__ or "").parent / "static"
_NAMES = re.compile(r"\busher_[a-z_]+")
_LABELS = re.compile(r"(usher_[a-z_]+)\{([a-z_]+)[=!]")


def _expressions() -> list[str]:
    dashboard: Any = json.loads((STATIC / "grafana-dashboard.json").read_text("utf-8"))
    alerts: Any = yaml.safe_load((STATIC / "prometheus-alerts.yaml").read_text("utf-8"))
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return shown + [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]


def _exposed() -> dict[str, Metric]:
    exposed: dict[str, Metric] = {}
    for metric in Metrics().registry.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(metric.type, ("",))
        exposed |= {metric.name + suffix: metric for suffix in suffixes}
    return exposed


def test_every_metric_named_is_exposed() -> None:
    exposed = _exposed()
    expressions = _expressions()
    assert len(expressions) > 20
    named = {name for expression in expressions for name in _NAMES.findall(expression)}
    assert named <= exposed.keys(), named - exposed.keys()


def test_every_label_filtered_by_is_one_of_the_metrics() -> None:
    labels = {name: set(counter._labelnames) for name, counter in _families().items()}
    for expression in _expressions():
        for name, label in _LABELS.findall(expression):
            family = re.sub(r"_(total|bucket|sum|count)$", "", name)
            assert label in labels[family], expression


def _families() -> dict[str, Any]:
    return {each._name: each for each in vars(Metrics()).values() if hasattr(each, "_labelnames")}
