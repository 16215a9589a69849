"""The rules by which other tools score an answer, to be held against what they scored."""
