"use strict";
// The list of cases. Data is untrusted: it enters the page through textContent alone, never as markup.
(() => {
  const byId = (id) => document.getElementById(id);
  const context = JSON.parse(byId("context").textContent);
  const cases = JSON.parse(byId("data").textContent);
  const PAGE = 50;
  // What steers a display is written out, so that text reads as it is: the characters of `themis.pure.text`.
  const STEERING = /(?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
  const visible = (text) =>
    text.replace(STEERING, (c) => "\\u" + c.codePointAt(0).toString(16).padStart(4, "0"));
  const shown = (value) => visible(typeof value === "string" ? value : JSON.stringify(value, null, 2));

  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const add = (parent, ...children) => (parent.append(...children.filter(Boolean)), parent);

  // --- one case, opened ---------------------------------------------------------------------------------

  const block = (title, value, className) => {
    if (value === undefined || value === null) return null;
    const part = make("div", "block");
    const body = make("pre", className || "", shown(value));
    body.tabIndex = 0;
    body.setAttribute("role", "group");
    body.setAttribute("aria-label", visible(title));
    return add(part, make("h5", "", visible(title)), body);
  };
  const part = (title, ...children) => {
    const found = children.flat().filter(Boolean);
    return found.length ? add(make("section", "part"), make("h4", "", title), ...found) : null;
  };
  const measures = (item) => {
    const texts = [];
    if (item.latency !== undefined) texts.push(`${Math.round(item.latency)} ms`);
    for (const [name, count] of Object.entries(item.tokens || {})) texts.push(`${count} ${name.replace(/_/g, " ")}`);
    return texts.length ? make("p", "note", visible(texts.join(", "))) : null;
  };
  const retried = (item) => (item.retries && item.retries.length ? block(`Retries: ${item.retries.length}`, item.retries) : null);
  const failed = (title, error, retries) => [block(title, error, "failed"), retried({ retries })];

  const candidate = (item) => [
    block(item.id, item.output),
    measures(item),
    retried(item),
    ...(item.conversation || []).map((turn) => block(`Turn: ${turn.role}`, turn.content)),
    ...(item.trace || []).map((step) => block(`Step: ${step.name} (${step.type})`, step.output ?? {})),
  ];
  const judged = (item) => {
    const answers = item.answers || [];
    const judgments = item.judgments || [];
    return part(
      `Judged: ${visible(item.metric)} (${item.status.replace(/_/g, " ")})`,
      item.aggregate && block(`Aggregate by ${item.aggregate.method}`, item.aggregate.value),
      judgments.map((each, i) => block(`Judgment ${i + 1}: ${each.label}${each.score === undefined ? "" : `, ${each.score}`}`, each.rationale ?? each.label)),
      answers.flatMap((each) => [block(`Answer of ${each.judge}`, each.text), measures(each), retried(each)]),
      (item.prompts || []).map((each) => block(`Prompt ${each.id}`, each.content)),
      (item.failures || []).flatMap((each) => failed(`Failed: ${each.step}`, each.error, each.retries)),
    );
  };
  const detail = (item) => {
    const scores = item.scores.map((score) =>
      block(
        `${score.metric}: ${score.value === undefined ? score.category : score.value} (${score.outcome})`,
        score.error ?? score.details,
        score.outcome === "error" ? "failed" : "",
      ) || make("p", "note", visible(`${score.metric}: ${score.value} (${score.outcome})`)),
    );
    return add(
      make("div", "detail"),
      part("Prompt", block("Input", item.input), block("Expected", item.expected), item.metadata && block("Metadata", item.metadata)),
      part(
        `Candidates: ${(item.candidates || []).length}`,
        (item.candidates || []).flatMap(candidate),
        (item.failures || []).flatMap((each) => failed(`${each.id} failed: ${each.type}`, each.error, each.retries)),
      ),
      part("Errors", (item.errors || []).flatMap((each) => failed(`${each.stage}: ${each.type}`, each.error))),
      part("Reduced to", item.reduced && block(item.reduced.id, item.reduced.output ?? null)),
      part(
        "Parsed answer",
        item.parsed && block(`${item.parsed.parser || "no parser"}${item.parsed.invalid ? ", marked invalid" : ""}`, item.parsed.value ?? "nothing found"),
        item.parsed && item.parsed.metadata && Object.keys(item.parsed.metadata).length ? block("Parser's notes", item.parsed.metadata) : null,
      ),
      part("Scores", scores),
      ...(item.judged || []).map(judged),
    );
  };

  // --- the list -----------------------------------------------------------------------------------------

  const state = { page: 0, found: cases };
  const metric = byId("metric");
  const scoreOf = (item) => item.scores.find((score) => score.metric === metric.value) || item.scores[0];
  const latencyOf = (item) => (item.candidates || []).reduce((sum, each) => sum + (each.latency || 0), 0);
  const tokensOf = (item) => (item.candidates || []).reduce((sum, each) => sum + ((each.tokens || {}).total_tokens || 0), 0);
  const preview = (value) => {
    const text = typeof value === "string" ? value : JSON.stringify(value ?? "");
    return visible(text.slice(0, 160).replace(/\s+/g, " "));
  };

  const line = (item, number) => {
    const entry = make("li", "case");
    const button = make("button", "row");
    button.type = "button";
    button.setAttribute("aria-expanded", "false");
    const score = scoreOf(item);
    const outcome = score ? score.outcome : "none";
    const value = !score ? "" : score.value === undefined ? (score.category || "error").replace(/_/g, " ") : String(+score.value.toFixed(4));
    const answer = item.parsed ? item.parsed.value : item.reduced && item.reduced.output;
    add(
      button,
      make("span", "id", visible(item.id)),
      make("span", "prompt", preview(item.input)),
      make("span", "answer", answer === undefined || answer === null ? "no answer" : preview(answer)),
      make("span", `outcome ${outcome}`, outcome),
      make("span", "score", visible(value)),
    );
    button.addEventListener("click", () => {
      const open = button.getAttribute("aria-expanded") === "true";
      button.setAttribute("aria-expanded", String(!open));
      if (open) entry.lastChild.remove();
      else entry.append(detail(item));
    });
    return add(entry, button);
  };

  const draw = () => {
    const pages = Math.max(1, Math.ceil(state.found.length / PAGE));
    state.page = Math.min(Math.max(0, state.page), pages - 1);
    const first = state.page * PAGE;
    const lines = state.found.slice(first, first + PAGE).map(line);
    byId("list").replaceChildren(...lines);
    byId("list").start = first + 1;
    byId("found").textContent = state.found.length
      ? `${state.found.length.toLocaleString("en")} of ${cases.length.toLocaleString("en")} listed cases match`
      : "No case matches: clear the search or choose another outcome";
    byId("page").textContent = `Page ${state.page + 1} of ${pages}`;
    byId("previous").disabled = state.page === 0;
    byId("next").disabled = state.page === pages - 1;
  };

  // Search texts are made when they are first needed.
  const texts = new Map();
  const textOf = (item) => {
    if (!texts.has(item)) texts.set(item, JSON.stringify(item, (key, value) => (key === "no" ? undefined : value)).toLowerCase());
    return texts.get(item);
  };
  const ORDERS = {
    "as planned": null,
    "lowest score": (a, b) => (scoreOf(a).value ?? Infinity) - (scoreOf(b).value ?? Infinity),
    "highest score": (a, b) => (scoreOf(b).value ?? -Infinity) - (scoreOf(a).value ?? -Infinity),
    "slowest": (a, b) => latencyOf(b) - latencyOf(a),
    "most tokens": (a, b) => tokensOf(b) - tokensOf(a),
  };
  const choose = () => {
    // JSON writes quotes and line ends with a backslash; so must what is looked for.
    const wanted = JSON.stringify(byId("search").value.trim().toLowerCase()).slice(1, -1);
    const outcome = byId("outcome").value;
    const dataset = byId("dataset").value;
    state.found = cases.filter((item) => {
      const score = scoreOf(item);
      if (outcome !== "all" && !(score && (score.outcome === outcome || score.category === outcome))) return false;
      if (dataset !== "all" && item.dataset !== dataset) return false;
      return !wanted || textOf(item).includes(wanted);
    });
    const order = ORDERS[byId("order").value];
    if (order && context.metrics.length) state.found = [...state.found].sort(order);
    state.page = 0;
    draw();
  };

  const options = (id, values, all) => {
    const select = byId(id);
    for (const value of all ? ["all", ...values] : values) {
      const option = make("option", "", visible(value.replace(/_/g, id === "outcome" ? " " : "_")));
      option.value = value;
      select.append(option);
    }
    select.addEventListener("change", choose);
    if (values.length < 2 && all) select.parentElement.hidden = true;
  };
  const categories = [...new Set(cases.flatMap((item) => item.scores.map((score) => score.category).filter(Boolean)))].sort();
  options("metric", context.metrics, false);
  metric.parentElement.hidden = context.metrics.length < 2;
  options("outcome", ["correct", "incorrect", "error", ...categories], true);
  options("dataset", context.datasets, true);
  options("order", Object.keys(ORDERS), false);
  let waiting = 0;
  byId("search").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(choose, 120);
  });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  const turn = (by) => {
    state.page += by;
    draw();
    byId("cases").scrollIntoView();
  };
  byId("previous").addEventListener("click", () => turn(-1));
  byId("next").addEventListener("click", () => turn(1));
  draw();
  performance.mark("themis-ready");
})();
