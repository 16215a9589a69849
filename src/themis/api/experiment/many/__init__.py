"""Running one experiment by many workers: a store that all of them reach says what is true, an engine who works."""
