"""Which option an answer chooses: answers as models write them, each read by hand."""

# ruff: noqa: RUF001  # answers in other scripts

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from themis.pure.components.text.choice import choice_letter

INVALID = "invalid"

ANSWERS: list[tuple[str, str | None]] = [
    # bare
    ("C", "C"),
    ("c", "C"),
    ("(C)", "C"),
    ("**C**", "C"),
    ("C.", "C"),
    ("C)", "C"),
    ("$C$", "C"),
    ("  B\n", "B"),
    ("A", "A"),
    ("I", "I"),
    ("C) Paris", "C"),
    ("C. Paris is the capital of France.", "C"),
    ("**D. Mitochondria**", "D"),
    ("B, because the current lags the voltage in an inductor.", "B"),
    ("D - the enzyme is denatured", "D"),
    # cues
    ("Answer: C", "C"),
    ("answer: c", "C"),
    ("Answer:C", "C"),
    ("Answer: **C**", "C"),
    ("**Answer: C**", "C"),
    ("**Answer:** C", "C"),
    ("**Answer**: (C) 42 m/s", "C"),
    ("Answer: $\\boxed{C}$", "C"),
    ("### Answer\n\nB) Newton's third law", "B"),
    ("The answer is C.", "C"),
    ("The answer is (D).", "D"),
    ("The answer is **B**.", "B"),
    ("The answer is A because acceleration is constant.", "A"),
    ("The answer is option B.", "B"),
    ("The correct answer is: **E) none of the above**", "E"),
    ("The correct option is `D`.", "D"),
    ("I would choose B here.", "B"),
    ("I'd go with C, although D is tempting.", "C"),
    ("I think it's B", "B"),
    ("My answer is: \\textbf{(A)}", "A"),
    ("The correct answer would be J, since only ten options remain.", "J"),
    ("Final Answer: The final answer is $\\boxed{\\text{D}}$. I hope it is correct.", "D"),
    ("<answer>B</answer>", "B"),
    ("Therefore the answer is \\(\\boxed{\\mathrm{C}}\\).", "C"),
    ("\\boxed{(B)}", "B"),
    ("\\boxed{\\textbf{B. } 3.2 \\times 10^5}", "B"),
    # chains of thought
    (
        "Let's think step by step. A train covers 60 km in 1.5 h, so v = 40 km/h. That matches choice B. "
        "The answer is (B).",
        "B",
    ),
    (
        "Option A is wrong since tungsten is a metal. Option B is incorrect. Option D doesn't apply. "
        "So option C is correct.",
        "C",
    ),
    (
        "Step 1: A is the mass number.\nStep 2: I use conservation of energy.\nStep 3: E = mc^2.\n\nSo the correct "
        "answer is **G**.",
        "G",
    ),
    (
        "First, I'll restate the options:\nA) 2\nB) 4\nC) 8\nD) 16\n\nDoubling three times gives 8.\n\nAnswer: C",
        "C",
    ),
    (
        "Options: (A) red (B) green (C) blue (D) yellow. Chlorophyll reflects green light, so the correct choice "
        "is (B) green.",
        "B",
    ),
    (
        "Choose the correct answer: A) 3 B) 5 C) 7 D) 9\n\nThe fourth prime is 7.\n\n**C) 7**",
        "C",
    ),
    ("A) is wrong because the lens is concave.\nB) is wrong as well.\n\nCorrect answer: D", "D"),
    ("The answer is not A. The answer is not B either. By elimination, the answer is D.", "D"),
    ("(B) is the correct answer.", "B"),
    ("Statement C is the most accurate.", "C"),
    ("**A** is incorrect, so I choose **E**.", "E"),
    ("At first I thought the answer was A, but momentum is conserved. The answer is C.", "C"),
    ("One might think the answer is B. But friction does no work here, so the answer is D.", "D"),
    ("A common mistake is to ignore the sign. Using it properly leads to choice F. Answer: F", "F"),
    ("I believe that a careful reading supports the second claim.\n\nB", "B"),
    ("Vitamin C prevents scurvy; hepatitis B is viral. The answer is D.", "D"),
    ("As a large lens gathers light, I is proportional to the area.\n\nAnswer: I.", "I"),
    # corrections
    ("The answer is A. Wait, I misread the question: it asks for the exception. The answer is D.", "D"),
    ("Answer: B\n\nActually, let me re-check the units... they are kJ. Answer: C", "C"),
    ("Answer: A\n\nWait, actually the answer is B.", "B"),
    ("Answer: A. Hmm, wait. Actually, it's B.", "B"),
    ("A\n\nActually, B.", "B"),
    ("**Answer: A**\n\nCorrection: B", "B"),
    ("Answer: C. No, wait: D!", "D"),
    ("Answer: B. Sorry, my notation above is off.", "B"),
    ("Answer: C. Option A is actually plausible, but the text rules it out.", "C"),
    ("Answer: B rather than C", "B"),
    ("\\boxed{A}\n\nHold on, the mass is in grams. So it is \\boxed{B}.", "B"),
    # other languages
    ("Die richtige Antwort ist B.", "B"),
    ("Antwort: C) Berlin", "C"),
    ("La réponse correcte est (D).", "D"),
    ("La respuesta correcta es la opción A.", "A"),
    ("A resposta correta é C.", "C"),
    ("La risposta corretta è: **B**", "B"),
    ("正确答案是C。", "C"),
    ("根据以上分析，故选D。", "D"),
    ("答案：Ｂ", "B"),
    ("正解は A です。", "A"),
    ("정답은 C입니다.", "C"),
    ("Правильный ответ: B", "B"),
    ("الإجابة الصحيحة هي ج", "C"),
    ("সঠিক উত্তর: খ", "B"),
    ("Jawaban yang benar adalah D.", "D"),
    ("सही उत्तर: B", "B"),
    # nothing chosen
    ("I'm sorry, but I can't help with that.", None),
    ("I cannot determine the answer from the information given.", None),
    ("A bird in the hand is worth two in the bush.", None),
    ("The answer is a monad.", None),
    ("The answer is A monad with two laws.", None),
    ("Answer: I don't know.", None),
    ("", None),
    ("As an AI model, I have no opinion on this.", None),
    ("A) 2\nB) 4\nC) 8\nD) 16", None),
    ("Answer: DNA polymerase", None),
    ("The answer is C++.", None),
    # unusable
    ("Answer: B\n\nAnswer: D", INVALID),
    ("The answer is A. The answer is C.", INVALID),
    ("The answer is A or B.", INVALID),
    ("\\boxed{A} and \\boxed{C}", INVALID),
    ("Answer: K", INVALID),
    ("The correct answer is Z.", INVALID),
    ("Final answer: A, B and D", INVALID),
    ("\\boxed{BD}", INVALID),
    ("B\n\nD", INVALID),
    # the stated answer, not what the working boxes
    (r"Using \boxed{E = mc^2} we get the mass. Answer: D", "D"),
    (r"The energy is $\boxed{E = \frac{1}{2}mv^2}$.\n\nThe correct option is B.", "B"),
    (r"Hence $\boxed{A \cap B = \emptyset}$, so the answer is C.", "C"),
    (r"\boxed{\langle H\rangle \ll \Delta E}" + "\n\n**Answer: D**", "D"),
    (r"The rate is \boxed{k = A e^{-E_a/RT}}." + "\n\nAnswer: B", "B"),
    (r"\boxed{B}", "B"),
    (r"\boxed{\text{B}}", "B"),
    (r"\boxed{\text{Option B}}", "B"),
    (r"\boxed{B) 12}", "B"),
    (r"\boxed{\mathbf{(C)}\ 15}", "C"),
    (r"$$\boxed{\textbf{D}}$$", "D"),
    (r"\boxed{C: \text{ the mitochondrion}}", "C"),
    (r"\boxed{F = 12\,\text{N}}" + "\nFinal answer: (A)", "A"),
    (r"Area \boxed{A} is the shaded one. So the answer is \boxed{C}, wait: \boxed{C}.", "C"),
    # wrappers
    ("Option D", "D"),
    ("**Option D**", "D"),
    ("Option D.", "D"),
    ("Option (D): 12 m/s", "D"),
    ("Choice B", "B"),
    ("The answer: Option C", "C"),
    ('{"choice": "B"}', "B"),
    ('{"answer": "C"}', "C"),
    ('{"reasoning": "A is a vitamin", "answer": "C"}', "C"),
    ('```json\n{"answer": "B", "confidence": 0.9}\n```', "B"),
    ('{"final_answer": "(D)"}', "D"),
    ("{'answer': 'B'}", "B"),
    ("<answer>(B)</answer>", "B"),
    ("<answer>\nB\n</answer>", "B"),
    ("<final_answer>D</final_answer>", "D"),
    ("<choice>A</choice>", "A"),
    ("[[B]]", "B"),
    ("My verdict: [[C]]", "C"),
    ("【D】", "D"),
    ("【答案】C", "C"),
    ("「B」", "B"),
    ("`C`", "C"),
    ("«B»", "B"),
    ("#### C", "C"),
    ("### Final Answer: **C**", "C"),
    ("**Final Answer:** **(C)**", "C"),
    ("**Final Answer**\n\n**C**", "C"),
    ("ANSWER: C", "C"),
    ("Answer = C", "C"),
    ("Answer -> C", "C"),
    ('answer: "C"', "C"),
    ("Answer: [C]", "C"),
    ("Answer: <C>", "C"),
    ("Answer: {C}", "C"),
    ("Answer: \\text{C}", "C"),
    ("Answer: $\\mathbf{C}$", "C"),
    ("Answer: $\\textbf{(C)}$", "C"),
    ("Answer: \\(C\\)", "C"),
    ("Answer: ***C***", "C"),
    ("Answer:\n\nC", "C"),
    ("Ⓒ", "C"),
    ("✅ C", "C"),
    ("✅ **Answer: C**", "C"),
    ("The answer is **C) 42**.", "C"),
    ("Selected option: C", "C"),
    ("Correct option: C", "C"),
    ("Correct choice: **C**", "C"),
    ("Final choice: C", "C"),
    ("Final selection: C", "C"),
    ("Best answer: C", "C"),
    ("So, C.", "C"),
    ("Therefore, (C) is the right choice.", "C"),
    ("This corresponds to option C.", "C"),
    ("This matches answer choice **C**.", "C"),
    ("Hence the correct answer is option **(C)**, the Krebs cycle.", "C"),
    ("The right answer would be C.", "C"),
    ("The best answer is C: reduce the dose.", "C"),
    ("The most appropriate next step is C.", "C"),
    ("The correct statement is C.", "C"),
    ("Answer choice C is correct.", "C"),
    ("**C** is correct because the gradient vanishes.", "C"),
    ("C is the correct answer.", "C"),
    ("C) Paris is correct.", "C"),
    ("The answer is B. Note that A is a common distractor.", "B"),
    ("ANSWER IS D. A is incorrect.", "D"),
    ("The answer is C because I computed the integral.", "C"),
    ("I would pick B — a safe choice.", "B"),
    ("The answer is B because a car moves.", "B"),
    ("Answer seems to be A.\n\nAnswer: A", "A"),
    ("Let me think.\nOption A: too small.\nOption B: too large.\nOption C: just right.\n\nAnswer: C", "C"),
    ("A: no. B: no. C: yes.\nFinal answer: C", "C"),
    ("I considered (A), but it is incorrect. Final answer: D.", "D"),
    ("The correct answer is d.", "D"),
    ("Not A, since the sign is wrong. The answer is therefore C.", "C"),
    # other languages
    ("Antwort:\n\nAntwort: C", "C"),
    ("Die Antwort lautet B.", "B"),
    ("Die richtige Option ist D.", "D"),
    ("Antwort B ist richtig.", "B"),
    ("B ist die richtige Antwort.", "B"),
    ("Option C ist korrekt.", "C"),
    ("Richtig ist **C**.", "C"),
    ("Somit ist Antwort (C) korrekt.", "C"),
    ("Lösung: C", "C"),
    ("Endgültige Antwort: C", "C"),
    ("La bonne réponse est la B.", "B"),
    ("La réponse est B.", "B"),
    ("Réponse : C", "C"),
    ("L'option C est correcte.", "C"),
    ("C est la bonne réponse.", "C"),
    ("La bonne réponse est donc l'option D.", "D"),
    ("La opción correcta es la C.", "C"),
    ("Respuesta: C", "C"),
    ("Respuesta final: **C**", "C"),
    ("La respuesta es la opción D.", "D"),
    ("Opción B", "B"),
    ("La C es la respuesta correcta.", "C"),
    ("A alternativa correta é a letra B.", "B"),
    ("La risposta è la C.", "C"),
    ("答案是 C", "C"),
    ("答案：C。", "C"),
    ("答案为（C）", "C"),
    ("正确答案：C", "C"),
    ("正确选项是 C。", "C"),
    ("选C", "C"),
    ("因此选择选项C。", "C"),
    ("应选 C 项。", "C"),
    ("本题选C。", "C"),
    ("选项C是正确的。", "C"),
    ("C是正确答案。", "C"),
    ("故答案为：C．", "C"),
    ("所以答案选 C", "C"),
    ("答えはCです。", "C"),
    ("答え：C", "C"),
    ("正解はCです。", "C"),
    ("正解：C", "C"),
    ("したがって、正解は選択肢Cです。", "C"),
    ("Cが正解です。", "C"),
    ("Cが正しいです。", "C"),
    ("最も適切な選択肢はCです。", "C"),
    ("정답: C", "C"),
    ("정답은 C입니다.", "C"),
    ("답은 (C) 입니다", "C"),
    ("정답은 C번입니다.", "C"),
    ("따라서 정답은 선택지 C입니다.", "C"),
    ("C가 정답입니다.", "C"),
    ("답: C", "C"),
    ("الإجابة الصحيحة هي: C", "C"),
    ("الإجابة: ب", "B"),
    ("الجواب هو (ج)", "C"),
    ("الخيار الصحيح هو ب", "B"),
    ("الإجابة هي الخيار د", "D"),
    ("Ответ: C", "C"),
    ("Правильный ответ — C.", "C"),
    ("सही उत्तर है: C", "C"),
    ("सही विकल्प C है।", "C"),
    ("Doğru cevap: C", "C"),
    ("Đáp án đúng là C.", "C"),
    ("Đáp án: C", "C"),
    # several, or none
    ("Both A and B are correct.", INVALID),
    ("A and C are both correct.", INVALID),
    ("Options B and D are correct.", INVALID),
    ("Either A or B could be right. The answer is A or B.", INVALID),
    ("\\boxed{A}\n\nAnswer: C", INVALID),
    ("Answer: A/B", INVALID),
    ("**Answer:** B\n\n**Answer:** C", INVALID),
    ("答案：A\n答案：C", INVALID),
    ("The answer is A. Therefore the correct option is D.", INVALID),
    ('{"answer": ["A", "B"]}', INVALID),
    ("I can't see any figure, so I can't answer.", None),
    ("None of the options is correct.", None),
    ("The capital of France is Paris.", None),
    ("A is tall, B is short, and nobody knows more.", None),
    ("La respuesta correcta es la opción (B).", "B"),
    ("Por lo tanto, la respuesta es C.", "C"),
    ("Entonces, la opción correcta es D.", "D"),
    ("Respuesta correcta: A", "A"),
    ("A es la respuesta correcta.", "A"),
    ("**Respuesta: B**", "B"),
    ("Die korrekte Antwort ist C.", "C"),
    ("Also ist B richtig.", "B"),
    ("Antwort: (D)", "D"),
    ("Die Lösung ist B.", "B"),
    ("Meine Antwort: C", "C"),
    ("Korrekt ist Option B.", "B"),
    ("La réponse correcte est l'option C.", "C"),
    ("La réponse correcte est : C", "C"),
    ("C'est la réponse B.", "B"),
    ("Donc la réponse est D.", "D"),
    ("Réponse finale : B", "B"),
    ("La bonne réponse : B", "B"),
    ("Je choisis B.", "B"),
    ("所以正确答案是：B", "B"),
    ("因此，答案是B选项。", "B"),
    ("综上，选择B。", "B"),
    ("最终答案：B", "B"),
    ("答案应为B", "B"),
    ("正确的选项是B", "B"),
    ("因此答案为 **B**", "B"),
    ("我选择B。", "B"),
    ("B 项正确。", "B"),
    ("故本题答案为D。", "D"),
    ("【答案】B", "B"),
    ("（B）", "B"),
    ("答えは「B」です。", "B"),
    ("正解は B です", "B"),
    ("したがって、答えは(B)となります。", "B"),
    ("正しい答えはBです。", "B"),
    ("解答：B", "B"),
    ("最終的な答えはBです。", "B"),
    ("Bを選びます。", "B"),
    ("よって B が正解。", "B"),
    ("選択肢Bが正しい。", "B"),
    ("정답은 (B)입니다.", "B"),
    ("따라서 정답은 B이다.", "B"),
    ("답은 B입니다.", "B"),
    ("올바른 답은 B입니다.", "B"),
    ("**정답:** B", "B"),
    ("최종 답: B", "B"),
    ("정답: **B**", "B"),
    ("B가 맞습니다.", "B"),
    ("옵션 B가 정답입니다.", "B"),
    ("الإجابة الصحيحة هي (ب).", "B"),
    ("الجواب الصحيح: ج", "C"),
    ("الإجابة: B", "B"),
    ("إذن الإجابة هي أ", "A"),
    ("الخيار ب هو الصحيح", "B"),
    ("الاختيار الصحيح هو د", "D"),
    ('{"choice":"B","why":"A is wrong"}', "B"),
    ('{"answer": "B. Paris"}', "B"),
    ('{"selected": "C"}', "C"),
    ("Answer: **B. 12**", "B"),
    ("Answer:**B**", "B"),
    ("\\textbf{Answer: B}", "B"),
    ("> Answer: B", "B"),
    ("- Answer: B", "B"),
    ("B)", "B"),
    ("(b)", "B"),
    ("b)", "B"),
    ("B:", "B"),
    ("*B*", "B"),
    ("__B__", "B"),
    ("\\boxed{\\mathrm{B}}", "B"),
    ("$\\boxed{\\text{B. Paris}}$", "B"),
    ("The answer is $\\text{B}$.", "B"),
    ("ANSWER: (B)", "B"),
    ("Final Answer: Option B", "B"),
    ("The final answer is \\( \\boxed{B} \\).", "B"),
    ("**Correct Answer: B) 12**", "B"),
    ("Correct: B", "B"),
    ("I'm going with B.", "B"),
    ("It must be B.", "B"),
    ("My final answer is B.", "B"),
    ("Result: B", "B"),
    ('{"answer": {"letter": "B"}}', "B"),
    ("answer is: B", "B"),
    ("choose (B)", "B"),
    ("A and B are both right.", INVALID),
    ("The correct answers are A and C.", INVALID),
    ("Answer: A\nAnswer: B", INVALID),
    ("It could be A or C.", None),
    ("The answer is either A or B.", INVALID),
    ("Answer: B and D", INVALID),
    ("A, B, and C are all correct.", INVALID),
    ("答案是A和B。", INVALID),
    ("正解はAとBです。", INVALID),
    ("The answer is B. No, the answer is C.", "C"),
    ("Option A is correct. Option B is also correct.", INVALID),
    ("\\boxed{A, C}", INVALID),
    ("Las respuestas A y B son correctas.", INVALID),
    ("Sowohl A als auch B sind richtig.", INVALID),
    ("I am torn between A and B.", None),
    ("All of the above.", None),
    ("\\boxed{B} is what a naive reader says. Final answer: C", INVALID),
    ("A et B sont correctes.", INVALID),
    ("Les réponses A et C sont correctes", INVALID),
    ("정답은 A와 B입니다.", INVALID),
    ("Antwort:\n\nAntwort: D", "D"),
    ("The answer is D because a train moves.", "D"),
    ("I would pick C — a sound choice.", "C"),
    ("The answer is D. Note that B is the usual trap.", "D"),
    ("The answer is E because I integrated twice.", "E"),
    ("Since \\boxed{\\Delta G = \\Delta H - T\\Delta S}, ...\n\n**Answer: H**", "H"),
    ("I considered (B), but it is incorrect. Final answer: C.", "C"),
    ("Answer seems to be C.\n\nAnswer: C", "C"),
    ("답은 (I) 입니다", "I"),
    ("**정답: (B)**", "B"),
    ("정답: E", "E"),
    ("이 환자는 치료가 필요합니다.", None),
    ("Neither A nor B is correct.", None),
]


@pytest.mark.parametrize(("answer", "expected"), ANSWERS)
def test_reads_what_a_person_reads(answer: str, expected: str | None) -> None:
    result = choice_letter(answer)
    assert (INVALID if result.invalid else result.value) == expected, result
    assert (result.value is None) == bool(result.reason)


def test_has_enough_answers() -> None:
    assert len({answer for answer, _ in ANSWERS}) >= 250


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Answer: A, C", "AC"),
        ("The correct answers are B and D.", "BD"),
        ("Answer: ACD", "ACD"),
        ("\\boxed{B, A}", "AB"),
        ("Answer: **C**", "C"),
        ("答案：ABD", "ABD"),
        ("Answer: A; wait, actually. Answer: A and B", "AB"),
    ],
)
def test_several_options_may_be_chosen_where_the_question_allows_it(answer: str, expected: str) -> None:
    assert choice_letter(answer, multiple=True).value == expected


def test_the_options_decide_what_is_a_letter() -> None:
    assert choice_letter("Answer: K", letters="ABCDEFGHIJKL").value == "K"
    assert choice_letter("Answer: E", letters="ABCD").invalid
    assert choice_letter("Answer: e", letters="ABCD").value is None


@given(st.text())
def test_reads_any_text(text: str) -> None:
    choice_letter(text)
    choice_letter(text, multiple=True)


FRAGMENTS = st.sampled_from(
    [
        "Answer",
        ":",
        " ",
        "\n",
        "**",
        "(",
        ")",
        "A",
        "B",
        "I",
        "a",
        "the answer is",
        "\\boxed{",
        "}",
        "wait",
        "not",
        "K",
        "选",
        "$",
    ]
)


@given(st.lists(FRAGMENTS).map("".join))
def test_reads_any_answer_like_text(text: str) -> None:
    result = choice_letter(text)
    assert result.value is None or result.value in "ABCDEFGHIJ"
    assert not (result.invalid and result.value)


@given(st.sampled_from("ABCDEFGHIJ"), st.sampled_from(["{}", "({})", "**{}**", "Answer: {}", "\\boxed{{{}}}", "{}."]))
def test_every_letter_in_every_form(letter: str, form: str) -> None:
    assert choice_letter(form.format(letter)).value == letter


WRAPPERS = st.sampled_from(
    [
        "{}",
        "({})",
        "**{}**",
        "**({})**",
        "`{}`",
        "[{}]",
        "$\\boxed{{{}}}$",
        "\\text{{{}}}",
        "\\({}\\)",
        *("“{}”", "‘{}’", "'{}'", "«{}»", "【{}】", "「{}」", "『{}』", "《{}》", "<{}>"),
        *("_{}_", "__{}__", "***{}***", "${}$", "$\\text{{{}}}$", "{{{{{}}}}}"),
    ]
)
PHRASES = st.sampled_from(
    [
        "Option {} is the right one.",
        "{} is the correct answer.",
        "The correct option is {} because it holds.",
        "The answer is {}.",
        "Answer: {}",
        "**Final answer:** {}",
        "The correct option is {}.",
        "I choose {}.",
        "So option {} is correct.",
        "答案是{}。",
        "正确选项是{}。",
        "故选{}。",
        "正解は{}です。",
        "答え：{}",
        "정답은 {}입니다.",
        "정답: {}",
        "الإجابة الصحيحة هي {}",
        "La respuesta correcta es {}.",
        "La respuesta es la opción {}.",
        "Die richtige Antwort ist {}.",
        "Die Antwort lautet {}.",
        "La bonne réponse est {}.",
        "Réponse : {}",
        "Правильный ответ: {}",
        "सही उत्तर: {}",
        "<answer>{}</answer>",
        '{{"choice": "{}"}}',
    ]
)


@given(st.sampled_from("ABCDEFGHIJ"), WRAPPERS, PHRASES)
def test_the_stated_answer_in_any_wrapper_and_language(letter: str, wrapper: str, phrase: str) -> None:
    assume(not (letter == "I" and wrapper == "{}" and "because" in phrase))  # the pronoun
    assert choice_letter(phrase.format(wrapper.format(letter))).value == letter


FORMULAS = st.sampled_from(
    ["E = mc^2", "A \\cap B", "F = ma", "C_1 + C_2", "B \\to A", "A^{-1}", "I = \\frac{V}{R}", "D(x)"]
)


@given(st.sampled_from("ABCDEFGHIJ"), FORMULAS, PHRASES)
def test_a_formula_in_a_box_is_no_choice(letter: str, formula: str, phrase: str) -> None:
    assume(not (letter == "I" and "because" in phrase))  # the pronoun
    working = f"We find \\boxed{{{formula}}}.\n\n"
    assert choice_letter(working + phrase.format(letter)).value == letter
    assert choice_letter(working).value is None


@given(st.sampled_from("ABCDE"), st.sampled_from("FGHIJ"), st.booleans())
def test_statements_that_conflict_are_unusable(first: str, second: str, swapped: bool) -> None:
    one, other = (second, first) if swapped else (first, second)
    for text in (
        f"Answer: {one}\n\nAnswer: {other}",
        f"\\boxed{{{one}}}\n\nFinal answer: {other}",
        f"The answer is {one}. The answer is {other}.",
        f"Both {one} and {other} are correct.",
        f"答案是{one}。答案是{other}。",
    ):
        assert choice_letter(text).invalid, text
    assert choice_letter(f"The answer is {one}. Wait, I was wrong. The answer is {other}.").value == other


SURE = st.sampled_from(["Answer: {}", "\\boxed{{{}}}", "**Answer: {}**", "Final answer: {}", '{{"answer": "{}"}}'])
UNSURE = st.sampled_from(["the answer is {}.", "it's {}.", "{}.", "I choose {}.", "option {} is correct.", "{}"])
CORRECTIONS = st.sampled_from(["Wait, actually ", "Correction: ", "Sorry, ", "No, wait: ", "On second thought, "])


@given(st.permutations("ABCD"), SURE, CORRECTIONS, UNSURE)
def test_a_correction_stands_however_sure_the_rule_of_what_it_corrects(
    letters: list[str], sure: str, correction: str, unsure: str
) -> None:
    first, second, *_ = letters
    text = f"{sure.format(first)}\n\n{correction}{unsure.format(second)}"
    assert choice_letter(text).value == second
