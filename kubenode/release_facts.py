"""From which date kubenode's tables of releases are: what it knows of Kubernetes and of containerd.

The tables are :data:`kubenode.kubelet.releases.RELEASES` and
:data:`kubenode.runtimes.containerd.releases.RELEASES`. Who brings a table up to date compares the
other one with its source too, and then writes the day here.
"""

from __future__ import annotations

from datetime import date, timedelta

AS_OF = date(2026, 11, 24)
"""The day both tables were last compared with their sources."""

GOOD_FOR = timedelta(days=183)
"""How long the tables are taken for complete. Kubernetes and containerd make a minor release every
four months: after half a year there is at least one of each that no table has."""

GOOD_UNTIL = AS_OF + GOOD_FOR
"""The last day the tables are taken for complete."""
