"""Reading stored runs: one view of a run, and what is made of it: results, reports, comparisons, gates, searches."""
