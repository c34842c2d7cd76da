"use strict";

const MOST_LABELS = 20; // in a table
const MOST_WORDS = 15;
const byId = (id) => document.getElementById(id);
let models = [];

/** An element with attributes and children; texts become text, never markup. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const rounded = (number) => number.toFixed(Math.abs(number) < 0.01 ? 4 : 3);

/** Asks the server; the message of its refusal is thrown. */
async function ask(path, body) {
  const headers = {};
  if (byId("key").value) headers.Authorization = `Bearer ${byId("key").value}`;
  if (body) headers["Content-Type"] = "application/json";
  const response = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
  const answer = await response.json();
  if (response.status === 401) byId("key-field").hidden = false;
  if (!response.ok) throw new Error(answer.message || `the server says ${response.status}`);
  return answer;
}

function say(text, failed = false) {
  byId("status").textContent = text;
  byId("status").className = failed ? "failed" : "";
}

const chosen = () => models.find((model) => model.id === byId("model").value);

async function listModels() {
  models = (await ask("v1/models")).data;
  byId("model").replaceChildren(...models.map((model) => element("option", { value: model.id }, model.id)));
  showModel();
}

/** Fits the form to the model. */
function showModel() {
  const model = chosen();
  const [first, second] = model.text || [];
  document.querySelector("label[for=first]").textContent = second ? `First text (${first})` : "Text";
  document.querySelector("label[for=second]").textContent = `Second text (${second})`;
  byId("second-field").hidden = !second;
  byId("second").required = Boolean(second);
  byId("explain-field").hidden = !model.explains;
  byId("about").textContent = model.about;
}

function heading(text) {
  const isNumber = ["Score", "Share", "Value"].includes(text);
  return element("th", isNumber ? { scope: "col", class: "number" } : { scope: "col" }, text);
}

/** A table of names and numbers; `rows` are arrays of a header and cells. */
function table(caption, heads, rows) {
  const made = element("table", {}, element("caption", {}, caption));
  made.append(element("thead", {}, element("tr", {}, ...heads.map(heading))));
  made.append(element("tbody", {}, ...rows));
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, made);
}

function row(given, name, ...cells) {
  const made = element("tr", given ? { class: "given" } : {}, element("th", { scope: "row" }, name));
  for (const cell of cells) {
    const isNumber = typeof cell === "number";
    made.append(element("td", isNumber ? { class: "number" } : {}, isNumber ? rounded(cell) : cell));
  }
  return made;
}

/** Labels with their scores, best first, and which of them are meant. */
function labels(record, top) {
  const given = record.labels || [record.label];
  const rows = top.map(({ label, score }) => {
    const isGiven = given.includes(label);
    const bar = element("meter", { min: 0, max: 1, value: score, "aria-hidden": "true" });
    return row(isGiven, label, score, bar, isGiven ? "yes" : "");
  });
  return [given.length ? given.join(", ") : "no label", table("Labels", ["Label", "Score", "", "Given"], rows)];
}

function numbers(record, names) {
  const values = [record.value].flat();
  const rows = values.map((value, index) => row(true, names[index], value));
  return [values.map(rounded).join(", "), table("Values", ["Name", "Value"], rows)];
}

/** The text with its entities marked. Places count characters; JavaScript's strings count halves of some. */
function entities(record, text) {
  const characters = Array.from(text);
  const shown = element("p", { class: "text" });
  let end = 0;
  for (const one of record.entities) {
    shown.append(characters.slice(end, one.start).join(""));
    const label = element("small", {}, one.label);
    shown.append(element("mark", {}, characters.slice(one.start, one.end).join(""), label));
    end = one.end;
  }
  shown.append(characters.slice(end).join(""));
  const rows = record.entities.map((one) => row(true, one.text, one.label, `${one.start} to ${one.end}`, one.score));
  const said = record.entities.map((one) => `${one.label}: ${one.text}`).join("; ") || "no entities";
  return [said, shown, table("Entities", ["Text", "Label", "Characters", "Score"], rows)];
}

/** What moved one label: the texts with their words shaded, and the strongest in a table. */
function explained(explanation, label) {
  const largest = Math.max(...label.attribution.map(Math.abs)) || 1;
  const parts = explanation.texts.map((text, part) => {
    const characters = Array.from(text);
    const shown = element("p", { class: "text" });
    let end = 0;
    explanation.words.forEach((word, index) => {
      if (word.part !== part || word.end <= word.start) return;
      const value = label.attribution[index];
      const shaded = element("span", { class: value < 0 ? "against" : "for" }, word.text);
      shaded.style.setProperty("--share", ((0.7 * Math.abs(value)) / largest).toFixed(2));
      shown.append(characters.slice(end, word.start).join(""), shaded);
      end = word.end;
    });
    shown.append(characters.slice(end).join(""));
    return shown;
  });
  const isOfText = (index) => explanation.words[index].end > explanation.words[index].start;
  const order = explanation.words.map((word, index) => index).filter(isOfText);
  order.sort((one, other) => Math.abs(label.attribution[other]) - Math.abs(label.attribution[one]));
  const rows = order.slice(0, MOST_WORDS).map((index) => {
    const value = label.attribution[index];
    return row(false, explanation.words[index].text, value, value < 0 ? "against" : "for");
  });
  const caption = `Words that moved ${label.label} most`;
  return [element("h3", {}, `Why ${label.label}`), ...parts, table(caption, ["Word", "Share", "Speaks"], rows)];
}

/** A record of one task: what to say of it, and what to show. */
function shown(model, text, result) {
  if ("entities" in result) return entities(result, text);
  if ("value" in result) return numbers(result, model.labels);
  const names = result.labels || [result.label];
  return labels(result, result.top || names.map((label, place) => ({ label, score: result.scores?.[place] ?? result.score })));
}

function show(model, texts, result) {
  const found = [element("h2", {}, "Result")];
  if (model.tasks.length) {
    const said = model.tasks.map((name) => {
      const own = models.find((one) => one.id === `${model.id}:${name}`) || model;
      const [words, ...parts] = shown(own, texts[0], result[name]);
      found.push(element("h3", {}, name), ...parts);
      return `${name}: ${words}`;
    });
    say(said.join(" · "));
  } else {
    const [words, ...parts] = shown(model, texts[0], result);
    found.push(...parts);
    say(words);
  }
  for (const label of result.explanation?.labels || []) found.push(...explained(result.explanation, label));
  byId("result").replaceChildren(...found);
}

async function predict() {
  if (!models.length) await listModels();
  const model = chosen();
  const texts = model.text?.length === 2 ? [byId("first").value, byId("second").value] : [byId("first").value];
  const body = { model: model.id, texts: [texts.length === 2 ? texts : texts[0]] };
  if (model.has_probabilities) body.top_k = MOST_LABELS;
  if (model.explains && byId("explain").checked) body.explain = true;
  say("Asking …");
  byId("result").replaceChildren();
  show(model, texts, (await ask("v1/predict", body)).results[0]);
}

async function trying(work) {
  try {
    await work();
  } catch (error) {
    say(error.message, true);
  }
}

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  trying(predict);
});
byId("ask").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("ask").requestSubmit();
});
byId("model").addEventListener("change", showModel);
byId("key").addEventListener("change", () => trying(listModels));
trying(listModels);
