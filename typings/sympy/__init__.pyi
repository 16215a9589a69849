from typing import Any

Expr: Any
FiniteSet: Any
Float: Any
Interval: Any
MatrixBase: Any
Tuple: Any
