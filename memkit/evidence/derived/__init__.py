"""Claims that are derived from others: cells of sweeps and multiverses, mutants, replications."""
