"""Clients of model endpoints and agents: each makes one attempt at a call, and knows no limit and no retry."""
