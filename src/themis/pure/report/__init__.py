"""Reports: records in, text out. Whatever a model wrote is untrusted and is escaped for where it goes."""
