"""A score never depends on the process: the same pairs under other hash seeds, in another order, asked twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("math_verify")

CHILD = Path(__file__).parent / "math_child.py"
SEEDS = ("0", "1", "4242")
DRAWN = 20
"""Pairs of forms; each costs seconds in three processes."""


def drawn(count: int) -> Iterator[tuple[str, str]]:
    """Draw pairs: an expression with a rewriting of it, or with another."""
    random = Random(20)  # pairs, not secrets

    def expression(depth: int) -> str:
        if depth == 0:
            return random.choice("abcxyz123456789")
        one, other = expression(depth - 1), expression(depth - 1)
        return random.choice(
            [
                f"({one}+{other})",
                f"{one}-{other}",
                rf"\frac{{{one}}}{{{other}}}",
                rf"\sqrt{{{one}}}",
                rf"({one})^{{{random.choice('234n')}}}",
                rf"({one})\cdot({other})",
                rf"\{random.choice(['sin', 'cos', 'ln', 'exp'])}({one})",
                rf"\{{{one}, {other}\}}",
                rf"[{one}, {other})",
                rf"{one} = {other}",
            ]
        )

    for number in range(count):
        one = expression(random.randint(1, 3))
        yield one, random.choice([f"{one}+0", one.replace("a", "b"), expression(1 + number % 3), f"({one})"])


def families() -> Iterator[tuple[str, str]]:
    fibonacci, symbolic = r"\begin{pmatrix}1&1\\1&0\end{pmatrix}", r"\begin{pmatrix}x&1\\y&z\end{pmatrix}"
    for power in (2, 3, 20, 30, 31, 500):
        for matrix in (fibonacci, symbolic):
            yield f"{matrix}^{{{power}}}", rf"{matrix}^{{{power - 1}}}{matrix}"
            yield f"{matrix}^{{{power}}}", rf"\left({matrix}\right)^{{{power}}}"
    for text in ("100!!", "12!!", "20!", "3000!", "(n+1)!", r"\frac{100!}{98!}", r"\binom{n}{2}", "x!"):
        yield text, "120"
        yield text, r"\frac{n(n-1)}{2}"
    yield from (
        (r"x^{2^{n}}", "x^{2^n}"),
        (r"((x^{2})^{3})^{4}", "x^{24}"),
        (r"e^{e^{e^{x}}}", r"e^{e^{e^x}+1}"),
        (r"\sqrt{2+\sqrt{2+\sqrt{2+\sqrt{2}}}}", r"2\cos(\pi/32)"),
        (r"\sqrt[3]{2+\sqrt{5}}", r"\frac{1+\sqrt{5}}{2}"),
        (r"\sqrt{a+\sqrt{b}}", r"\sqrt{\frac{a+\sqrt{a^2-b}}{2}}+\sqrt{\frac{a-\sqrt{a^2-b}}{2}}"),
        (r"\sqrt{x+\sqrt{x+\sqrt{x}}}", r"\sqrt{x}"),
        (r"\sum_{k=1}^{n} k^2", r"\frac{n(n+1)(2n+1)}{6}"),
        (r"\sum_{k=1}^{100} \frac{1}{k^2}", "1.63"),
        (r"\sum_{k=1}^{\infty} \frac{1}{k^2}", r"\frac{\pi^2}{6}"),
        (r"\sum_{k=1}^{10000} \frac{\sin(k x)}{k^3}", "x"),
        (r"\int x e^x dx", "(x-1)e^x"),
        (r"\int_0^1 \frac{\sin(x^3)\ln(x+1)}{x^4+x+1} dx", "x^2+1"),
        (r"\sin^{10} x + \cos^{10} x", "1"),
        ("(x+y+z+w+u+v)^{150}", "(x+y+z+w+u-v)^{150}"),
        ("x^4+3x^3-2x+7=0", "x^4+3x^3-2x+8=0"),
        (r"\sqrt{x}+\sqrt{y}=1", r"x=1-2\sqrt{y}+y"),
        (r"x^3-x>0", "x>1"),
        (r"\{x+1, y^2, z\}", r"\{z, y^2, x+1\}"),
        (r"(a,b)\cup(c,d)", r"(c,d)\cup(a,b)"),
        (r"(-\infty,2]\cup[3,\infty)", r"\mathbb{R}\setminus(2,3)"),
        (r"0.5x^2+0.25x", "x^2/2+x/4"),
        ("(" * 12 + "x" + ")" * 12, "x"),
    )
    for terms in (5, 15, 40, 90):
        polynomial = [f"{k % 7 + 1}x^{{{k}}}y^{{{terms - k}}}" for k in range(terms)]
        yield "+".join(polynomial), "+".join(reversed(polynomial))
        yield "+".join(polynomial), "+".join([*polynomial[1:], "z"])
        yield "(x+a)(x+b)(x+c)" * (terms // 3), "(x+b)(x+a)(x+c)" * (terms // 3)


@pytest.mark.slow
def test_every_score_and_error_is_the_same_in_every_process_asked_twice_and_in_any_order() -> None:
    pairs = [*families(), *drawn(DRAWN)]
    asked = json.dumps(pairs).encode()
    children = [
        subprocess.Popen(
            [sys.executable, str(CHILD)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for seed in SEEDS
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write(asked)
        child.stdin.close()
    answered = []
    for child in children:
        assert child.stdout is not None
        with child.stdout as output:
            answered.append(json.loads(output.read()))
        assert child.wait() == 0
    differing = [
        (pair, outcomes)
        for pair, *outcomes in zip(pairs, *answered, strict=True)
        if len({outcome for found in outcomes for outcome in found}) > 1
    ]
    assert not differing
    found = {outcomes[0] for outcomes in answered[0]}
    assert {"1.0", "0.0"} < found  # and errors: all three kinds are compared
