"""Universe: reference data, ranking by how often and how hard a symbol moves, tiers."""
