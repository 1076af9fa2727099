"""The schema of tasks and suites, their YAML reader, and the catalogue of shipped ones. Imports no torch."""
