"""Scheduling: cohorts of seeds, a queue that says what trains when, devices and executors."""
