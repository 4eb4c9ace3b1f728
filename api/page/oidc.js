"use strict";
// Begins a sign-in at the press of a button, or with ?prove a proof of who is signed in here, and
// finishes the one that came back in the address: a proof's state says so.

const told = document.getElementById("told");
const button = document.getElementById("begin");
const sent = new URLSearchParams(location.search);
const proves = sent.has("prove") || (sent.get("state") || "").startsWith("proof.");

async function ask(path, options) {
  const answer = await fetch("/api/v1" + path, options);
  const found = answer.status === 204 ? {} : await answer.json();
  if (!answer.ok) throw new Error(found.detail);
  return found;
}

async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  if (proves) headers["X-CSRF-Token"] = (await ask("/me")).csrf_token;
  return ask((proves ? "/me/proof/oidc" : "/sign-in/oidc") + path, {
    method: "POST",
    headers,
    body: JSON.stringify({ cookie: true, ...body }),
  });
}

async function attempt(work) {
  button.hidden = true;
  told.textContent = "One moment …";
  try {
    await work();
  } catch (error) {
    told.textContent = "This did not work: " + error.message;
    button.hidden = false;
  }
}

button.addEventListener("click", () => attempt(async () => {
  location.assign((await post("", {})).authorization_url);
}));

history.replaceState(null, "", location.pathname + (proves ? "?prove" : ""));
if (sent.has("code")) {
  attempt(async () => {
    await post("/callback", { state: sent.get("state") || "", code: sent.get("code") });
    told.textContent = proves
      ? "You proved who you are. For ten minutes, go on with what asked for it."
      : "You are signed in.";
  });
} else {
  if (proves) told.textContent = "Prove again who you are: sign in there once more.";
  if (sent.has("error")) told.textContent = "The identity provider did not sign you in.";
  button.hidden = false;
}
