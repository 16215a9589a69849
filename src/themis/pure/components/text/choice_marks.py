r"""The marks by which models show the option they choose, as patterns.

Every repetition is bounded or can match in one way only, so that no text takes more than linear time. Cues in
other languages are those of the fourteen languages of MMMLU (huggingface.co/datasets/openai/MMMLU) and a few more.
"""

# ruff: noqa: RUF001  # the letters and punctuation of other scripts are meant

from __future__ import annotations

import re
from typing import Final

BOXED: Final = re.compile(
    r"\\f?boxed\s{0,3}\{((?:[^{}]|\{[^{}]{0,80}\}){0,120})\}"
    r"|<(?:final_?)?(?:answer|choice|option|letter)>([^<]{0,200})</|\[\[([^\[\]]{1,40})\]\]",
    re.IGNORECASE,
)
"""What models set apart for nothing but the answer."""

ALL_OF_IT: Final = re.compile(r"[\s)\]}*_.$`\\\"'”’»】」』》]*$|[*_}\s]{0,4}[).:](?:[\s*}\\]|$)")
"""What may follow a letter in a box: nothing, or the option's text as in `B) 12`; an `E = mc^2` is no letter."""

FIELD: Final = re.compile(
    r"[\"'](?:\w{1,20}_)?(?:answer|choice|option|selection|selected|letter|prediction)(?:_(?:letter|choice|option))?[\"']\s{0,3}:",
    re.IGNORECASE,
)
"""The key of a JSON object, behind which the answer stands."""

_NOUN: Final = r"(?:answer|option|choice|letter|solution|statement|response|one)"
_IS: Final = r"(?:\s+(?:is|are|would\s+be|should\s+be|must\s+be|will\s+be|was|has\s+to\s+be)(?=\W)|\s*[:：=\-–—→])"
_SEP: Final = r"[\s*_`\"'“”】」』)]{0,6}"
_ADVERB: Final = (
    r"(?:so|either|therefore|thus|hence|then|clearly|indeed|probably|likely|most\s+likely|definitely|simply|donc|also|somit|daher"
    r"|folglich|dunque|quindi|portanto|logo|por\s+(?:lo\s+)?tanto)"
)

FINAL_CUE: Final = re.compile(
    rf"####(?=\s{{0,3}}[(*]{{0,3}}[A-Z]\b)|\b(?:final|ultimate|definitive)\s+(?:correct\s+)?(?:answer|choice|option"
    rf"|selection)\b{_SEP}(?:\([^()\n]{{0,30}}\))?"
    rf"{_SEP}(?:{_IS}|(?=[\s*_]*\n))|最终答案(?:是|为|：|:)|最終的な答え(?:は|：|:)|최종\s?(?:정답|답)(?:은|는|:)|endgültige\s+Antwort(?:\s+(?:ist|lautet)|:)"
    r"|réponse\s+finale(?:\s+est|\s?:)|respuesta\s+final(?:\s+es|\s?:)",
    re.IGNORECASE,
)

STATED: Final = re.compile(
    rf"(?<!wrong\s)(?<!incorrect\s)\b(?:answer|result|correct(?:\s+(?:option|choice))?)[*_]{{0,3}}\s{{0,2}}[:：=]{_SEP}",
    re.IGNORECASE,
)
"""What is there to state the answer: `**Answer:** C`."""

_ENGLISH: Final = (
    r"\bcorrect\s+(?:answers|options|choices|statements|ones)\s+are(?=\W)|"
    rf"\b(?:answer|(?:correct|right|best|selected|chosen|final|appropriate)\s+(?:option|choice|letter|one"
    rf"|statement|response)|(?:most\s+(?:appropriate|likely|accurate|suitable|probable)|best|next)(?:\s+\w{{1,15}}){{1,4}}?|my\s+(?:choice|pick|guess|selection)|answer\s+(?:choice|option|letter))"
    rf"(?:\s+(?:here|to\s+(?:this|the)\s+question|to\s+question\s+\d{{1,3}}|choice|option"
    rf"|letter))?{_SEP}(?:{_IS}|(?=[\s*_]*\n))"
    r"|\b(?:I(?:'ll|’ll|'d|’d|\s+will|\s+would|\s+have\s+to|\s+am\s+going\s+to)?\s+(?:choose|chose|pick|select"
    r"|go\s+(?:with|for)|answer"
    r"|vote\s+for|say)|going\s+with)(?=\W)"
    r"|\b(?:is|be|matches|corresponds\s+to|leads\s+(?:us\s+)?to|therefore,?|thus,?|so,?"
    r"|hence,?)\s+(?:the\s+)?(?:correct\s+)?(?:answer\s+)?(?:option|choice|letter)(?:\s+is)?(?=\s)"
    r"|\b(?:option|choice|letter|selection)\s{0,2}[:：=]"
    r"|\b(?:it(?:'s|’s|\s+is|\s+must\s+be|\s+has\s+to\s+be|\s+should\s+be)|go\s+with|choose|select|pick)(?=\s)"
)
_OTHER: Final = (
    r"選択肢は|(?:richtige\s+)?(?:Antwort|Lösung|Option)(?:\s+(?:ist|lautet|wäre)|(?=\s?:))|(?:richtige\s+)?Antwort|(?:richtig|korrekt)\s+ist|je\s+choisis|elijo|ich\s+wähle"
    r"|réponse(?:\s+(?:correcte|exacte|juste))?(?:\s+est|\s+serait)?|bonne\s+réponse(?:\s+est)?"
    r"|respuesta(?:\s+correcta)?(?:\s+(?:es|sería))?|opción\s+correcta(?:\s+es)?"
    r"|resposta(?:\s+(?:correta|certa))?(?:\s+(?:é|seria))?|alternativa\s+correta(?:\s+é)?"
    r"|risposta(?:\s+(?:corretta|giusta|esatta))?(?:\s+è)?"
    r"|(?:правильный\s+)?ответ|jawaban(?:\s+(?:yang\s+)?(?:benar|tepat))?(?:\s+adalah)?"
    r"|(?:jibu(?:\s+sahihi)?(?:\s+ni)?)|ìdáhùn|odpowiedź(?:\s+to)?|cevap|đáp\s+án(?:\s+đúng)?(?:\s+là)?"
    r"|(?:正确|正確|最佳)?(?:答案|选项|選項)(?:应该|應該|应|應|就)?(?:是|为|為|选|選)?|(?:故|所以|因此|应|應)?(?:选择|選擇|选|選)"
    r"|(?:正解|答え|解答|回答|正しい(?:答え|選択肢))(?:は|が)?|(?:정답|답|답변)(?:은|는)?"
    r"|(?:सही\s+)?(?:उत्तर|जवाब)(?:\s+है)?|सही\s+विकल्प|(?:সঠিক\s+)?উত্তর(?:\s+হল|\s+হলো)?|(?:الإجابة|الجواب|(?:الخيار|الاختيار)(?=\s+الصحيح))(?:\s+(?:الصحيحة"
    r"|الصحيح))?(?:\s+(?:هي|هو))?"
)
CUE: Final = re.compile(rf"{_ENGLISH}|(?:{_OTHER}){_SEP}[:：]?", re.IGNORECASE)

OPENING: Final = re.compile(
    rf"[\s*_`\"'“”‘’「『《«【(\[{{<$>:：=\-–—|✅☑✔→]{{0,20}}(?:{_ADVERB}\b,?\s{{0,3}})?"
    rf"(?:(?:(?:the|la|el|die|der|den|a|o|as)[ ]{{1,2}}|l['’])?(?:correct\s+|right\s+)?(?:{_NOUN}|opción|opção|option"
    rf"|Antwort|lettre|letra|lettera|Buchstabe|вариант)s?\b|(?:la|el|le|die)\s(?=[A-Z]\b)"
    rf"|选项|選項|選択肢|선택지|보기|विकल्प|الخيار)?"
    r"[\s*_`\"'“”‘’「『《«【(\[{<$>:：#]{0,20}(?:\\[(\[]\s?)?(?:\\(?:text|textbf|mathrm|mathbf|mathsf|textit|mbox|rm"
    r"|bf|boxed)\b\s?)?[\s({*_$]{0,6}(?:option\s)?[({]{0,2}",
    re.IGNORECASE,
)

OPTION: Final = re.compile(
    r"([A-Z]{1,12}|[a-z])(?![A-Za-z0-9+#-]|_{1,3}[A-Za-z0-9]|['’][A-Za-z]|/(?![A-Z]\b)|\.[a-zA-Z]|\([a-z]\b)"
)

VERDICT: Final = re.compile(
    r"(?<![A-Za-z0-9])(?<![A-Za-z0-9][_'’])([A-Z])(?:[)\].:*_`\"'”’»」』】》}>$\\]|\s(?=\()){0,6}(?:\([^()\n]{0,80}\))?[*_]{0,3}(?:\s{1,3}(?:is|are"
    r"|must\s+be|seems|looks|appears|would\s+be)"
    r"(?:\s+(?:therefore|thus|clearly|indeed|the|our|my|most|likely|to|be|only|single|both|all|also|definitely|probably)){0,5}"
    r"\s+(?:correct|right|best|true|answer|accurate)(?!\s+(?:about|in\s+that|that))\b"
    r"|(?:\s(?:ist|sind)(?:\s(?:die|also|somit|daher|hier|beide)){0,3})?\s(?:richtig|korrekt)"
    r"|\s(?:est|sont)(?:\s(?:donc|la|toutes|les|deux)){0,3}\s(?:bonne|correcte|exacte|juste)"
    r"|\s(?:es|son)(?:\s(?:la|ambas))?(?:\s(?:respuesta|opción))?\scorrecta|\s(?:é|è)(?:\s(?:a|la))?(?:\s\w{6,12})?\scorret+a"
    r"|\s?(?:项|項)?(?:是|为|為)?(?:最)?(?:正确|正確)|\s?を選|\s(?:هو|هي)\s(?:\w{3,9}\s)?الصحيح|\s?が(?:正解|正しい|答え|最も適切)|\s?(?:가|이|번이)\s(?:정답|맞|옳)"
    r"|\s[—-]?\s?(?:правильн|верн))"
)
JOINED_BEFORE: Final = re.compile(
    r"(?<![A-Za-z0-9_'’])([A-Z])[)\]*_]{0,3}(?:\s{0,2},\s{0,2}(?:and|or)?|\s(?:and|or|nor|und|als\s+auch|et|y|e|o|oder|ou)\b|\s{0,2}[&/和と와과、])"
    r"\s{0,2}(?:option\s)?[(\[*_]{0,3}$",
    re.IGNORECASE,
)
REJECTED: Final = re.compile(r"\b(?:neither|nor|not|weder|ni)\b[^.\n]{0,20}$", re.IGNORECASE)

LINE: Final = re.compile(
    r"^[ \t>*_#`\"'-]{0,8}[(\[]?([A-Z]|[a-z](?=[)\]]))(?:[)\].:][*_]{0,3}(?=[ \t\r\n*]|$)|[*_]{2}"
    r"|[ \t]{1,2}[-–—][ \t]|,[ \t](?=because|since|as))",
    re.MULTILINE,
)

EMPHASIS: Final = re.compile(
    r"(?<![\w*])(?:\*\*|__)[\s(\[\"']{0,3}([A-Z])(?:[)\].:]{1,2}[^*\n]{0,80}|\s[-–—][^*\n]{0,80}"
    r"|[\"'\s]{0,2})?(?:\*\*|__)"
)
PARENTHESISED: Final = re.compile(r"(?<!\w)[(\[]([A-Z])[)\]]")

LIST_ITEM: Final = re.compile(r"(?<![\w\\])[*_(\[]{0,4}([A-Za-z])[)\].:](?=[*_]{0,3}(?:\s|$)|[*_]{0,3}[^\s.)\]])")

NEGATED: Final = re.compile(
    r"[)\].:*_\"'”}$]{0,6}(?:\s{1,3}(?:is|are|was|can|could|does|seems|looks))?\s{0,3}(?:not\b|n['’]t|cannot\b"
    r"|isn['’]t|can['’]t|incorrect|wrong|false|eliminated|ruled\s+out)",
    re.IGNORECASE,
)
CORRECTION: Final = re.compile(
    r"\b(?:wait|actually|correction|sorry|apologi[sz]e|apologies|mistake|scratch\s+that|on\s+second\s+thou?ght"
    r"|reconsider(?:ing)?|re-?examin|re-?check"
    r"|double[-\s]check|let\s+me\s+re|hold\s+on|I\s+misread|I\s+was\s+wrong|that(?:'s|’s|\s+is)\s+(?:wrong"
    r"|incorrect|not\s+right)|hmm|oops|rather|revis\w+|change\s+my"
    r"|moment\s+mal|Entschuldigung|Korrektur|perdón|en\s+realidad|en\s+fait|pardon|attends)\b|\bno,|更正|等等|不对|不對|抱歉|修正"
    r"|訂正|잠깐|아니|подождите",
    re.IGNORECASE,
)
TENTATIVE: Final = re.compile(
    r"\b(?:might|may|could|would)\s+(?:think|say|assume|guess|suppose|be\s+tempted)|\btempt(?:ing|ed)\b"
    r"|\bat\s+first\b|\binitial(?:ly)?\b|\bif\b[^.\n]{0,30}$"
    r"|\bnot\b[^.\n]{0,12}$|\bwhether\b|n['’]t\s[^.\n]{0,12}$",
    re.IGNORECASE,
)
IMPERATIVE: Final = re.compile(
    r"\b(?:choose|select|pick|which|what|identify|mark|give|provide|options|choices)\b[^.\n]{0,50}$", re.IGNORECASE
)

LOCAL_LETTERS: Final = re.compile(
    r"(?<![\w\u0600-\u06ff\u0980-\u09ff])([أابجدهঅআবডঢকখগঘঙ])(?![\w\u0600-\u06ff\u0980-\u09ff])"
)
