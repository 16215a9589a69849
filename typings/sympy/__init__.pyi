from typing import Any

I: Any
Derivative: Any
Integral: Any
Limit: Any
Mod: Any
Piecewise: Any
Product: Any
Rational: Any
Subs: Any
Sum: Any
Symbol: Any
ceiling: Any
floor: Any
nan: Any
oo: Any
zoo: Any
Expr: Any
FiniteSet: Any
Float: Any
Interval: Any
MatrixBase: Any
Tuple: Any
