// Optional: shows the result of a probe beside its button, also after the part of the page around it was renewed.
"use strict";

const probeResults = new Map();

function showProbes() {
  for (const place of document.querySelectorAll("[data-probe-result]")) {
    const html = probeResults.get(place.dataset.probeResult);
    if (html !== undefined && place.innerHTML !== html) place.innerHTML = html;
  }
}

async function probeAgent(button) {
  const agent = button.dataset.probe;
  const say = (html) => { probeResults.set(agent, html); showProbes(); };
  const fields = button.closest("form").elements;
  const body = new URLSearchParams({ probe: agent, csrf: fields.csrf.value });
  if (fields.project) body.set("project", fields.project.value);
  say(texts.probing);
  try {
    const answer = await fetch("/console/probe", { method: "POST", headers: { "X-Fragment": "1" }, credentials: "same-origin", body });
    if (answer.status === 401) { say(""); sessionEnded(false); return; }
    const text = await answer.text();
    if (answer.headers.get("X-Probe") === null) throw new Error("no result");
    say(text);
  } catch { say(texts.noProbe); }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-probe]");
  if (!button) return;
  event.preventDefault();
  if (probeResults.get(button.dataset.probe) !== texts.probing) probeAgent(button);
});

// Parts of the page are replaced while it is open.
document.addEventListener("DOMContentLoaded", () => {
  new MutationObserver(showProbes).observe(document.body, { childList: true, subtree: true });
});
