from typing import Any

AppliedUndef: Any
