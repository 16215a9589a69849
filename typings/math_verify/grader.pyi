def sympy_expr_eq(
    gold: object,
    pred: object,
    float_rounding: int,
    numeric_precision: int,
    allow_set_relation_comp: bool = ...,
    strict: bool = ...,
) -> bool: ...
