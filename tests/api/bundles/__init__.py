"""Tests of bundles: their transfer, their files, and outputs from elsewhere."""
