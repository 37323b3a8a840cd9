"""Grafana dashboards as declarations: what is asked, in which dialect, and how it is drawn."""
