"""Windows: what to fetch around events, once; NBBO reduction; files."""
