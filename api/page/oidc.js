"use strict";
// Begins a sign-in at the press of a button, and finishes the one that came back in the address.

const told = document.getElementById("told");
const button = document.getElementById("begin");

async function post(path, body) {
  const answer = await fetch("/api/v1/sign-in/oidc" + path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ cookie: true, ...body }),
  });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.detail);
  return found;
}

async function attempt(work) {
  button.hidden = true;
  try {
    await work();
  } catch (error) {
    told.textContent = "This did not work: " + error.message;
    button.hidden = false;
  }
}

button.addEventListener("click", () => attempt(async () => {
  told.textContent = "One moment …";
  location.assign((await post("", {})).authorization_url);
}));

const sent = new URLSearchParams(location.search);
history.replaceState(null, "", location.pathname);
if (sent.has("code")) {
  attempt(async () => {
    told.textContent = "One moment …";
    await post("/callback", { state: sent.get("state") || "", code: sent.get("code") });
    told.textContent = "You are signed in.";
  });
} else {
  if (sent.has("error")) told.textContent = "The identity provider did not sign you in.";
  button.hidden = false;
}
