"""The pytest plugin: fixtures for evaluations in tests."""
