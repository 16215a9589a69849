"""Reports: records in, text out. What models wrote is untrusted, and is escaped for the format."""
