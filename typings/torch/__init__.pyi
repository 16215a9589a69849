# What is used of the library is tried against it by the tests that need it.
from typing import Any

def __getattr__(name: str) -> Any: ...
