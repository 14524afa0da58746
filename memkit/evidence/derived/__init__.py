"""Claims that are made of others: cells of sweeps and multiverses, mutants, replications."""
