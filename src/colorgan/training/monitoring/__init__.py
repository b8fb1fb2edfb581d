"""Monitoring of a run: its log, troubles, verdict, report and sample sheets."""
