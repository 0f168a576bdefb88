// Optional for every page: times in the viewer's zone, parts that refresh, the live check of the rule editor, copying,
// and confirmation of what cannot be undone.
"use strict";

const formats = {
  today: new Intl.DateTimeFormat(undefined, { timeStyle: "medium" }),
  datetime: new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }),
  distant: new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" }),
  time: new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 }),
  clock: new Intl.DateTimeFormat(undefined, { timeStyle: "medium" }),
};

function localize(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const instant = new Date(element.dateTime);
    if (Number.isNaN(instant.getTime())) continue;
    const format = element.dataset.style === "datetime" ? byDistance(instant) : formats[element.dataset.style];
    element.textContent = format.format(instant);
  }
}

function byDistance(instant) {
  const now = new Date();
  if (instant.toDateString() === now.toDateString()) return formats.today;
  return instant.getFullYear() === now.getFullYear() ? formats.datetime : formats.distant;
}

function tick() {
  for (const element of document.querySelectorAll("[data-since]")) {
    const seconds = Math.max(0, (Date.now() - new Date(element.dataset.since).getTime()) / 1000);
    element.textContent = seconds < 60 ? `${seconds.toFixed(0)} s`
      : `${Math.floor(seconds / 60)} min ${String(Math.floor(seconds % 60)).padStart(2, "0")} s`;
  }
}

async function fetchPart(url, options) {
  const answer = await fetch(url, { headers: { "X-Fragment": "1" }, credentials: "same-origin", ...options });
  if (answer.status === 401) { location.reload(); return null; }
  if (answer.status === 429) {  // an earlier check of this user is still running
    await new Promise((done) => setTimeout(done, 1000));
    return fetchPart(url, options);
  }
  return answer.ok ? answer.text() : null;
}

function refresh(element) {
  const every = Number(element.dataset.every || "3") * 1000;
  let failures = 0;
  const again = async () => {
    // Replacing the part would move the keyboard focus and drop a selection.
    const busy = document.hidden || element.contains(document.activeElement) || String(getSelection()).length > 0;
    if (!busy) {
      try {
        const part = await fetchPart(element.dataset.refresh);
        if (part !== null) { element.innerHTML = part; localize(element); tick(); failures = 0; }
      } catch { failures = Math.min(failures + 1, 5); }
    }
    setTimeout(again, every * (failures + 1));
  };
  setTimeout(again, every);
}

function checkWhileTyping(form) {
  const place = document.getElementById(form.dataset.result);
  let timer = 0, latest = 0;
  const check = async () => {
    const mine = ++latest;
    const body = new URLSearchParams(new FormData(form));
    place.setAttribute("aria-busy", "true");
    const part = await fetchPart(form.dataset.check, { method: "POST", body }).catch(() => null);
    if (mine !== latest) return;
    place.removeAttribute("aria-busy");
    if (part === null) return;
    place.innerHTML = part;
    localize(place);
    const wrong = new Set([...place.querySelectorAll("[data-field]")].map((each) => each.dataset.field));
    for (const field of form.elements) {
      if (!field.name || field.type === "hidden") continue;
      if (wrong.has(field.name)) field.setAttribute("aria-invalid", "true");
      else field.removeAttribute("aria-invalid");
    }
  };
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(check, 350); });
  check();
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = button.dataset.copy;
  try { await navigator.clipboard.writeText(text); } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  const before = button.textContent;
  button.textContent = "copied";
  setTimeout(() => { button.textContent = before; }, 1200);
});

document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.confirm || event.target.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
});

document.addEventListener("DOMContentLoaded", () => {
  localize(document);
  tick();
  setInterval(tick, 1000);
  for (const zone of document.querySelectorAll("input[data-zone]")) zone.value = String(new Date().getTimezoneOffset());
  for (const element of document.querySelectorAll("[data-refresh]")) refresh(element);
  for (const form of document.querySelectorAll("form[data-check]")) checkWhileTyping(form);
  for (const select of document.querySelectorAll("select[data-submits]")) {
    select.addEventListener("change", () => select.form.requestSubmit());
  }
});
