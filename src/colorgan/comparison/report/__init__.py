"""The report page of a comparison, its drawings and contact sheets."""
