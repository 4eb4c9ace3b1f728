"use strict";
// Shows the OpenAPI document and sends what is filled in. Texts are set as text, never as HTML.

const main = document.getElementById("operations");
const METHODS = ["get", "post", "put", "patch", "delete"];

function make(tag, text, parent, attributes) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  if (parent) parent.append(made);
  return made;
}

function resolved(spec, thing) {
  if (!thing || !thing.$ref) return thing || {};
  return thing.$ref.slice(2).split("/").reduce((found, name) => found[name], spec);
}

function sample(spec, schema, depth) {
  const known = resolved(spec, schema);
  if (known.example !== undefined) return known.example;
  if (known.default !== undefined) return known.default;
  if (known.enum) return known.enum[0];
  const type = [].concat(known.type || "object")[0];
  if (type === "array") return depth > 3 ? [] : [sample(spec, known.items, depth + 1)];
  if (type !== "object") return { string: "", integer: 1, number: 1, boolean: true }[type] ?? null;
  const body = {};
  for (const name of known.required || []) {
    body[name] = depth > 3 ? null : sample(spec, (known.properties || {})[name], depth + 1);
  }
  return body;
}

function field(form, parameter) {
  const label = make("label", parameter.name + (parameter.required ? " *" : ""), form);
  const input = make("input", "", label, { name: parameter.name, autocomplete: "off" });
  input.dataset.place = parameter.in;
  input.required = Boolean(parameter.required);
  const about = parameter.description || (parameter.schema || {}).description;
  if (about) make("small", about, label);
}

async function send(form, method, path, output) {
  const query = new URLSearchParams();
  const headers = { Accept: "application/json" };
  const key = document.getElementById("key").value.trim();
  if (key) headers.Authorization = "Bearer " + key;
  for (const input of form.querySelectorAll("[data-place]")) {
    if (!input.value) continue;
    if (input.dataset.place === "path") {
      path = path.replace("{" + input.name + "}", encodeURIComponent(input.value));
    } else if (input.dataset.place === "query") query.set(input.name, input.value);
    else headers[input.name] = input.value;
  }
  const body = form.querySelector("textarea");
  if (body) headers["Content-Type"] = "application/json";
  const address = path + (query.size ? "?" + query : "");
  output.textContent = method.toUpperCase() + " " + address + " …";
  try {
    const answer = await fetch(address, {
      method: method.toUpperCase(), headers, body: body ? body.value : undefined,
      credentials: "omit",
    });
    const text = await answer.text();
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* it is no JSON */ }
    const told = [...answer.headers].map(([name, value]) => name + ": " + value).join("\n");
    output.textContent = answer.status + " " + answer.statusText + "\n" + told + "\n\n" + shown;
  } catch (error) {
    output.textContent = "No answer: " + error.message;
  }
}

function open(spec, box, method, path, operation) {
  const form = make("form", "", box);
  const parameters = (spec.paths[path].parameters || []).concat(operation.parameters || []);
  for (const parameter of parameters) field(form, resolved(spec, parameter));
  const content = ((operation.requestBody || {}).content || {})["application/json"];
  if (content) {
    const label = make("label", "Body", form);
    const body = content.example ?? sample(spec, content.schema, 0);
    make("textarea", JSON.stringify(body, null, 2), label, { spellcheck: "false" });
  }
  make("button", "Send", form, { type: "submit" });
  const output = make("pre", "", box, { role: "status" });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form, method, path, output);
  });
}

function show(spec) {
  main.textContent = "";
  const rooms = new Map();
  for (const [path, operations] of Object.entries(spec.paths)) {
    for (const method of METHODS.filter((name) => operations[name])) {
      const operation = operations[method];
      const room = (operation.tags || ["others"])[0];
      if (!rooms.has(room)) {
        const section = make("section", "", main);
        make("h2", room, section);
        rooms.set(room, section);
      }
      const box = make("details", "", rooms.get(room));
      const line = make("summary", "", box);
      make("span", method, line, { class: "method" });
      make("code", path.replace("/api/v1", ""), line);
      line.append(" " + (operation.summary || ""));
      box.dataset.words = (method + " " + path + " " + (operation.summary || "")).toLowerCase();
      box.addEventListener("toggle", () => open(spec, box, method, path, operation), { once: true });
    }
  }
}

document.getElementById("find").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/);
  for (const box of main.querySelectorAll("details")) {
    box.hidden = !words.every((word) => box.dataset.words.includes(word));
  }
  for (const section of main.querySelectorAll("section")) {
    section.hidden = !section.querySelector("details:not([hidden])");
  }
});

fetch("/api/v1/openapi.json", { credentials: "omit" })
  .then((answer) => answer.json())
  .then(show)
  .catch((error) => { main.textContent = "The document cannot be read: " + error.message; });
