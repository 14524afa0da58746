"""What trains when and where: cohorts of seeds, a queue of them, devices and executors."""
