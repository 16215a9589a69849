"""The functional core: pure functions over immutable records.

Nothing below this package reads a file, a clock, an environment variable or a socket, starts a thread or
draws a random number that was not derived from its arguments. Whatever it needs of the world is handed in.
"""
