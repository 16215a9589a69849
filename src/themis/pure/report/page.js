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
    if (item.latency_ms !== undefined) texts.push(`${Math.round(item.latency_ms)} ms`);
    const counts = Object.entries(item.token_usage || {}).filter(([, count]) => count);
    for (const [name, count] of counts) texts.push(`${count.toLocaleString("en")} ${name.replace(/_/g, " ")}`);
    return texts.length ? make("p", "note", visible(texts.join(", "))) : null;
  };
  const retried = (item) => (item.retry_history ? block(`Retries: ${item.retry_history.length}`, item.retry_history) : null);
  const failed = (title, item) => [block(`${title}${item.error_type ? `: ${item.error_type}` : ""}`, item.error_message, "failed"), retried(item)];

  // What is long or often the same is folded away: a judge's prompt, an agent's steps.
  const folded = (title, ...children) => {
    const found = children.flat().filter(Boolean);
    return found.length ? add(make("details", "fold"), make("summary", "", visible(title)), ...found) : null;
  };
  const steps = (item) => {
    const turns = item.conversation || [];
    const taken = item.trace || [];
    return [
      ...turns.map((turn, i) => block(`Turn ${i + 1}: ${turn.role}`, turn.content)),
      ...taken.map((step, i) => add(
        make("div", "step"),
        make("h5", "", visible(`Step ${i + 1}: ${step.step_name} (${step.step_type})`)),
        block("Input", step.input),
        block("Output", step.output),
        block("Facts", step.metadata),
      )),
    ];
  };
  const candidate = (item) => {
    const taken = (item.conversation || []).length + (item.trace || []).length;
    return [
      folded(`${taken} step${taken === 1 ? "" : "s"} to the answer`, steps(item)),
      block(item.candidate_id, item.final_output),
      measures(item),
    ];
  };
  const call = (item) => {
    const response = item.response || {};
    const failures = (item.failures || []).flatMap((each) => failed("Failed", each));
    return add(
      make("article", "call"),
      add(make("h5", "verdict"), make("span", "", visible(item.title)), make("b", "", visible(item.verdict || "no verdict"))),
      block("Rationale", item.rationale),
      block("Answer", response.raw_response),
      measures(response),
      retried(response),
      ...failures,
      folded("Prompt", block("Asked", item.prompt)),
    );
  };
  const judged = (item, metric) => {
    const aggregate = item.aggregation_output;
    return part(
      `Judged: ${visible(metric)} (${item.status.replace(/_/g, " ")})`,
      aggregate && block(`Aggregate by ${aggregate.method}`, aggregate.value),
      (item.calls || []).map(call),
      (item.failures || []).flatMap((each) => failed(`Failed: ${each.step_id}`, each)),
    );
  };
  // Right and wrong have colours only where a metric tells them apart; a graded score shows where it lies on its scale.
  const SVG = "http://www.w3.org/2000/svg";
  const scale = (score) => {
    const [low, high] = context.graded[score.metric_id];
    const svg = document.createElementNS(SVG, "svg");
    const bar = (kind, width) => {
      const rect = document.createElementNS(SVG, "rect");
      for (const [name, value] of Object.entries({ class: kind, x: 0, y: 3, rx: 2, height: 8, width })) rect.setAttribute(name, value);
      return rect;
    };
    svg.setAttribute("class", "scale");
    svg.setAttribute("viewBox", "0 0 100 14");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `${score.value} on a scale from ${low} to ${high}`);
    svg.append(bar("band", 100), bar("count", Math.max(0, Math.min(100, (100 * (score.value - low)) / (high - low || 1)))));
    return svg;
  };
  const isGraded = (score) => score && score.value !== undefined && score.metric_id in context.graded;
  const figure = (value) => String(+value.toFixed(4));
  const mark = (score) => {
    const failed = score.value === undefined;
    const outcome = failed ? (score.error_category || score.outcome).replace(/_/g, " ") : score.outcome;
    return add(
      make("span", "mark"),
      isGraded(score) ? scale(score) : make("span", `outcome ${score.outcome === "not_reached" ? "" : failed ? "error" : outcome}`, visible(outcome)),
      failed ? null : make("span", "value", figure(score.value)),
    );
  };
  const tests = (score) => {
    if (!score.tests) return null;
    const lines = score.tests.map((each) =>
      add(
        make("li", each.verdict === "passed" ? "passed" : each.verdict === "not run" ? "" : "missed"),
        make("span", "", visible(each.tests)),
        make("b", "", visible(each.verdict)),
        each.message && make("code", "", visible(each.message)),
      ),
    );
    return add(make("ol", "tests"), ...lines);
  };
  // One answer of a case, or the case's one: how it was read, scored and judged.
  const answered = (answer, rows, text) => {
    const parsed = answer.parsed_output;
    const parser = parsed && `${answer.parser_id || "no parser"}${(parsed.metadata || {}).invalid === true ? ", marked invalid" : ""}`;
    const scores = rows.flatMap((score) => [
      add(make("p", "score-line"), make("b", "", visible(score.metric_id)), mark(score)),
      score.error_message && block("Error", score.error_message, "failed"),
      tests(score),
      score.details && Object.keys(score.details).length ? folded("Details", block("Details", score.details)) : null,
    ]);
    return [
      part(
        "Parsed answer",
        parsed && (typeof parsed.value === "string" && parsed.value === text ? make("p", "note", visible(`${parser}: the answer as it is`)) : block(parser, parsed.value ?? "nothing found")),
        parsed && block("Parser's notes", parsed.metadata),
      ),
      part("Scores", scores),
      ...(answer.evaluation_executions || []).map((each, i) => judged(each, answer.judged[i])),
    ];
  };
  const shownIn = (messages, input) =>
    typeof input === "string" && messages.some((message) => typeof message.content === "string" && message.content.includes(input));
  const detail = (item) => {
    const result = item.result;
    const reduced = result.reduced_candidate;
    const answers = result.answers || [];
    const candidates = result.generated_candidates || [];
    const rowsOf = (answer) => item.score_rows.filter((score) => score.candidate_id === answer.candidate_id);
    const ids = new Set(answers.map((answer) => answer.candidate_id));
    return add(
      make("div", "detail"),
      part(item.prompt_recorded ? "Sent to the model" : "Prompt", item.prompt.map((message) => block(message.role, message.content))),
      part("Case", shownIn(item.prompt, item.input) ? null : block("Input", item.input), block("Expected", item.expected_output), block("Metadata", item.metadata)),
      part(
        `Candidates: ${candidates.length}`,
        answers.length ? null : candidates.flatMap(candidate),
        (result.generation_failures || []).flatMap((each) => failed(`${each.candidate_id} failed`, each)),
      ),
      part("Errors", (item.history || []).map((each) => block([each.step, each.error_type, each.occurred_at].filter(Boolean).join(", "), each.error_message, "failed"))),
      part("Reduced to", reduced && candidates.length > 1 && block(reduced.candidate_id, reduced.final_output ?? null)),
      ...answers.map((answer) => {
        const made = candidates.find((each) => each.candidate_id === answer.candidate_id);
        return part(`Answer ${visible(answer.candidate_id)}`, made && candidate(made), ...answered(answer, rowsOf(answer), made && made.final_output));
      }),
      ...answered(result, item.score_rows.filter((score) => !ids.has(score.candidate_id)), reduced && reduced.final_output),
      part("Labels by people", (item.labels || []).map((each) => block([each.candidate_id, each.metric_id, each.who, each.outdated && "of an earlier answer"].filter(Boolean).join(", "), each.note ? `${each.value}: ${each.note}` : each.value))),
    );
  };

  // --- the list -----------------------------------------------------------------------------------------

  const state = { page: 0, found: cases };
  const metric = byId("metric");
  const rowsOf = (item) => item.score_rows.filter((score) => score.metric_id === metric.value);
  // What a line shows of a case: its score, or of several answers their mean, and whether they came out alike.
  const scoreOf = (item) => {
    const rows = rowsOf(item);
    if (rows.length < 2) return rows[0] || item.score_rows[0];
    const values = rows.map((score) => score.value).filter((value) => value !== undefined);
    const outcomes = new Set(rows.map((score) => score.outcome));
    const value = values.length ? values.reduce((sum, each) => sum + each, 0) / values.length : undefined;
    const { metric_id, error_category } = rows[0];
    return { metric_id, value, outcome: outcomes.size > 1 ? "mixed" : rows[0].outcome, error_category };
  };
  const latencyOf = (item) => (item.result.generated_candidates || []).reduce((sum, each) => sum + (each.latency_ms || 0), 0);
  const tokensOf = (item) => (item.result.generated_candidates || []).reduce((sum, each) => sum + ((each.token_usage || {}).total_tokens || 0), 0);
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
    const { parsed_output, reduced_candidate: reduced, answers } = item.result;
    const parsed = answers ? answers[0].parsed_output : parsed_output;
    const answer = parsed ? parsed.value : reduced && reduced.final_output;
    add(
      button,
      make("span", "id", visible(item.case_id)),
      make("span", "prompt", preview(item.input)),
      make("span", "answer", answer === undefined || answer === null ? "no answer" : preview(answer)),
      score ? mark(score) : make("span"),
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
  const all = (value) => (value && typeof value === "object" ? Object.values(value).map(all).join("\n") : String(value));
  const textOf = (item) => {
    if (!texts.has(item)) texts.set(item, all(item).toLowerCase());
    return texts.get(item);
  };
  const ORDERS = {
    "as planned": null,
    "lowest score": (a, b) => (scoreOf(a).value ?? Infinity) - (scoreOf(b).value ?? Infinity),
    "highest score": (a, b) => (scoreOf(b).value ?? -Infinity) - (scoreOf(a).value ?? -Infinity),
    "slowest": (a, b) => latencyOf(b) - latencyOf(a),
    "most tokens": (a, b) => tokensOf(b) - tokensOf(a),
  };
  const outcomesOf = (score) => [isGraded(score) ? "scored" : score.outcome, score.error_category];
  const choose = () => {
    const wanted = byId("search").value.trim().toLowerCase();
    const outcome = byId("outcome").value;
    const dataset = byId("dataset").value;
    state.found = cases.filter((item) => {
      if (outcome !== "all" && !rowsOf(item).some((score) => outcomesOf(score).includes(outcome))) return false;
      if (dataset !== "all" && item.dataset_id !== dataset) return false;
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
  const categories = [...new Set(cases.flatMap((item) => item.score_rows.map((score) => score.error_category).filter(Boolean)))].sort();
  options("metric", context.metrics, false);
  metric.parentElement.hidden = context.metrics.length < 2;
  const graded = context.metrics.filter((name) => name in context.graded).length;
  const outcomes = [...(graded < context.metrics.length ? ["correct", "incorrect"] : []), ...(graded ? ["scored"] : []), "error"];
  options("outcome", [...outcomes, ...categories], true);
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
