"""Answers made elsewhere as runs: of tables (`outputs`), and of other tools' logs."""
