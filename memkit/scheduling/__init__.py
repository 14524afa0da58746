"""Scheduling: cohorts of seeds, the training queue, devices and executors."""
