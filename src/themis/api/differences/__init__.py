"""Why the means of two stored runs differ."""
