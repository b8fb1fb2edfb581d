"""How a run is doing: its log, troubles, verdict, report, and pictures."""
