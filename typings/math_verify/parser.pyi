class NormalizationConfig:
    def __init__(
        self,
        *,
        basic_latex: bool = ...,
        units: bool = ...,
        malformed_operators: bool = ...,
        nits: bool = ...,
        boxed: str = ...,
        equations: bool = ...,
    ) -> None: ...

def normalize_latex(text: str, config: NormalizationConfig) -> str: ...
def parse_latex_cached(latex: str) -> object: ...
