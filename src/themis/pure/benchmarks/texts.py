"""Texts that are compared with a person's: translation and summarisation."""

from __future__ import annotations

import functools
from typing import Any, Final

from themis.pure.benchmarks.columns import Fields, Row, RowMisfitError
from themis.pure.benchmarks.recipe import ComponentChoice, Content, VariantFacts, hub_recipe
from themis.pure.benchmarks.samples import Sample
from themis.pure.records.prompt import PromptSpec

_TRANSLATED: Final = PromptSpec(suffix="\n\nAnswer with the translation alone.")
_LANGUAGES: Final = {
    "cs": "Czech",
    "de": "German",
    "en": "English",
    "fi": "Finnish",
    "fr": "French",
    "hi": "Hindi",
    "ro": "Romanian",
    "ru": "Russian",
    "tr": "Turkish",
}


def _scored(component_id: str, name: str, **options: Any) -> ComponentChoice:
    return ComponentChoice(component_id=component_id, options={"component_id": name, **options})


_CHRF: Final = _scored("builtin/chrf", "chrf")
_CHRF_PLUS: Final = _scored("builtin/chrf", "chrf++", word_order=2)
_BLEU: Final = _scored("builtin/bleu", "bleu")

_translation: Final = functools.partial(
    hub_recipe, kind="translation", prompt_spec=_TRANSLATED, parsers=("builtin/text",)
)
_CORPUS: Final = (
    "A case's score is sacrebleu's of a sentence; the figure of papers is that of the corpus, which `corpus_score` "
    "makes of the cases' details, and which `themis compare BASE NEW --statistic corpus` compares. The signature in "
    "the details says what it depends on. Scoring needs the extra `translation`."
)
_COMET: Final = "COMET, which agrees better with people, needs a model of its own and is not computed."


def _wmt(fields: Fields, variant: str) -> Content:
    """Translate from the first language of the variant into the second."""
    source, target = variant.split("-")
    texts = {name: fields["question"].get(name) for name in (source, target)}
    for name, text in texts.items():
        if not isinstance(text, str) or not text.strip():
            raise RowMisfitError("question", f"a text under {name!r} expected, found {text!r}")
    asked = f"Translate this sentence from {_LANGUAGES[source]} to {_LANGUAGES[target]}:\n\n{texts[source]}"
    return Content(asked, texts[target])


def _pairs(languages: str) -> tuple[str, ...]:
    return tuple(pair for name in languages.split() for pair in (f"{name}-en", f"en-{name}"))


def _wmt_samples(first: str, second: str) -> tuple[Sample, ...]:
    row = {"translation": {first: "Das Haus ist heute leer.", second: "The house is empty today."}}
    return (
        Sample(row=row, right="The house is empty today.", wrong="xyz", variant=f"{first}-{second}"),
        Sample(row=row, right="Das Haus ist heute leer.", wrong="xyz", variant=f"{second}-{first}"),
    )


def _wmt24pp(fields: Fields, variant: str) -> Content:
    asked = f"Translate this text from English into the language of the locale {variant.removeprefix('en-')}"
    return Content(f"{asked}:\n\n{fields['question']}", fields["answer"])


def _bad_source(row: Row, variant: str) -> str | None:
    return "its source is marked as bad" if row.get("is_bad_source") is True else None


def _wmt24pp_row(number: int, source: str, target: str, bad: bool = False) -> dict[str, Any]:
    return {
        "document_id": "made",
        "segment_id": number,
        "lp": "en-de_DE",
        "domain": "news",
        "is_bad_source": bad,
        "source": source,
        "target": target,
    }


TRANSLATION: Final = (
    *(
        _translation(
            f"wmt{year}",
            f"wmt/wmt{year}",
            content=_wmt,
            title=f"WMT{year} news translation",
            measures="Translation of news between English and another language.",
            config="<variant>",
            variants=_pairs(languages),
            default_variant="de-en",
            variant_facts=tuple(VariantFacts(variant=f"en-{name}", config=f"{name}-en") for name in languages.split()),
            reads={"translation": ("question", "object")},
            metrics=(_BLEU, _CHRF),
            license="as stated on the dataset's page",
            source=f"https://www.statmt.org/wmt{year}/",
            pitfalls=(
                _CORPUS,
                "bleu and chrf are sacrebleu's with their defaults; 13a tokens suit the languages of these pairs.",
                "The name alone is German to English.",
                _COMET,
            ),
            samples=_wmt_samples("de", "en"),
        )
        for year, languages in (("14", "de cs fr hi ru"), ("16", "de cs fi ro ru tr"))
    ),
    _translation(
        "wmt24pp",
        "google/wmt24pp",
        content=_wmt24pp,
        title="WMT24++",
        measures="Translation of news, social posts, speech and literature from English into 55 languages.",
        config="<variant>",
        open_variants="a pair, such as `en-ja_JP`",
        default_variant="en-de_DE",
        split="train",
        reads={
            "document_id": "id",
            "segment_id": "id",
            "source": "question",
            "target": "answer",
            "is_bad_source": ("rule", "boolean"),
        },
        labels=("domain", "lp"),
        groups_by=("domain",),
        metrics=(_CHRF, _BLEU),
        license="Apache 2.0",
        source="https://arxiv.org/abs/2502.12404",
        leaves_out=_bad_source,
        pitfalls=(
            "Segments whose source is marked as bad are left out, and counted.",
            _CORPUS,
            "BLEU by words means nothing for languages without blanks between them: read chrf there.",
            _COMET,
        ),
        samples=(
            Sample(
                row=_wmt24pp_row(1, "The sea is calm.", "Das Meer ist ruhig."), right="Das Meer ist ruhig.", wrong="x"
            ),
            Sample(row=_wmt24pp_row(2, "It snows here.", "Hier schneit es."), right="Hier schneit es.", wrong="x"),
            Sample(row=_wmt24pp_row(3, "404", "404", bad=True), left_out=True),
        ),
    ),
)

# --- summaries --------------------------------------------------------------------------------------------

_ROUGE: Final = tuple(
    _scored("builtin/rouge", name, variant=name) for name in ("rouge1", "rouge2", "rougeL", "rougeLsum")
)
_summary: Final = functools.partial(hub_recipe, kind="summarisation", parsers=("builtin/text",), metrics=_ROUGE)
_ROUGES: Final = (
    "rougeL takes the whole text as one sequence, rougeLsum line by line: they differ by several points. Words are "
    "stemmed, as in most papers."
)
_LINES: Final = "The river rose at night.\nThe bridge is gone."
_ARTICLE: Final = "Last night the river rose by two metres. In the morning the old bridge was gone."


def _article(fields: Fields, variant: str) -> Content:
    return Content(fields["question"], fields["answer"])


SUMMARIES: Final = (
    _summary(
        "cnn_dailymail",
        "abisee/cnn_dailymail",
        content=_article,
        title="CNN/DailyMail",
        measures="Summaries of 11,490 news articles in about three sentences.",
        config="3.0.0",
        prompt_spec=PromptSpec(
            prefix="Summarise this article in three sentences, each on a line of its own. Answer with the summary "
            "alone.\n\n"
        ),
        reads={"id": "id", "article": "question", "highlights": "answer"},
        license="Apache 2.0",
        source="https://arxiv.org/abs/1704.04368",
        pitfalls=(
            _ROUGES,
            "References are the articles' bullet points: fluent summaries in other words score low. Most reports take "
            "a sample (`limit=`, `shuffle=`): say which.",
        ),
        samples=(
            Sample(row={"id": "a-1", "article": _ARTICLE, "highlights": _LINES}, right=_LINES, wrong="xyz"),
            Sample(row={"id": "a-2", "article": _ARTICLE, "highlights": "No bridge."}, right="No bridge.", wrong="xyz"),
        ),
    ),
    _summary(
        "xsum",
        "EdinburghNLP/xsum",
        content=_article,
        title="XSum",
        measures="Summaries of 11,334 BBC articles in one sentence.",
        prompt_spec=PromptSpec(prefix="Summarise this article in one sentence. Answer with the sentence alone.\n\n"),
        reads={"id": "id", "document": "question", "summary": "answer"},
        license="as stated on the dataset's page",
        source="https://arxiv.org/abs/1808.08745",
        pitfalls=(
            _ROUGES,
            "References are the articles' first sentences, and many say what the rest does not: models that invent "
            "nothing can't match them.",
        ),
        samples=(
            Sample(
                row={"id": "1", "document": _ARTICLE, "summary": "A flood took a bridge."},
                right="A flood took a bridge.",
                wrong="xyz",
            ),
            Sample(
                row={"id": "2", "document": _ARTICLE, "summary": "The river rose."},
                right="The river rose.",
                wrong="xyz",
            ),
        ),
    ),
)

TEXTS: Final = (*TRANSLATION, *SUMMARIES)
