// Optional for every page: times in the viewer's zone, parts that refresh, the live check of the rule editor, copying,
// and confirmation of what cannot be undone.
"use strict";

// The page is in the language of its texts; a region of that language that the browser prefers decides on formats.
const language = document.documentElement.lang;
const locale = navigator.languages.find((one) => one.split("-")[0] === language.split("-")[0]) || language;
const texts = JSON.parse(document.body.dataset.texts || "{}");
const withDecimals = (value, digits) => new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);

const formats = {
  today: new Intl.DateTimeFormat(locale, { timeStyle: "medium" }),
  datetime: new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }),
  distant: new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" }),
  time: new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 }),
  clock: new Intl.DateTimeFormat(locale, { timeStyle: "medium" }),
};

function localize(root) {
  for (const element of root.querySelectorAll("[data-needs-script]")) element.hidden = false;
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

// By how much this machine's clock is ahead of Usher's, by which callers wait.
const aheadMs = Date.now() - Date.parse(document.body.dataset.now) || 0;

function tick() {
  for (const element of document.querySelectorAll("[data-since]")) {
    if (element.closest(".stale")) continue;
    const seconds = Math.max(0, (Date.now() - aheadMs - Date.parse(element.dataset.since)) / 1000);
    element.textContent = seconds < 60 ? `${seconds.toFixed(0)} s`
      : `${Math.floor(seconds / 60)} min ${String(Math.floor(seconds % 60)).padStart(2, "0")} s`;
  }
}

// What is typed would be lost by the way to the login: it stays, and can be sent after a login in another tab.
function sessionEnded(isTyping) {
  const fields = document.querySelectorAll("main :is(input:not([type=hidden], [type=checkbox], [type=radio]), textarea)");
  if (!isTyping && ![...fields].some((one) => one.value !== one.defaultValue)) { location.reload(); return; }
  if (document.getElementById("session-ended")) return;
  const banner = document.createElement("div");
  banner.id = "session-ended";
  banner.className = "banner warning";
  banner.setAttribute("role", "alert");
  const link = Object.assign(document.createElement("a"), { href: "/console/login?next=/console/account/confirmed", target: "_blank", textContent: texts.logIn });
  banner.append(`${texts.ended} `, link);
  document.getElementById("main").prepend(banner);
}

async function fetchPart(url, options) {
  const answer = await fetch(url, { headers: { "X-Fragment": "1" }, credentials: "same-origin", ...options });
  if (answer.status === 401) { sessionEnded(options?.method === "POST"); return null; }
  document.getElementById("session-ended")?.remove();
  if (answer.status === 429) {  // an earlier check of this user is still running
    await new Promise((done) => setTimeout(done, 1000));
    return fetchPart(url, options);
  }
  return answer.ok ? answer.text() : null;
}

const STALE_MS = 20000;
const ANSWER_MS = 10000;

// A pause lasts until it is ended (WCAG 2.2.2): also on the same page with another filter, in this tab.
function keptPause(element) {
  const key = `paused:${location.pathname}#${element.id}`;
  return {
    read: () => { try { return sessionStorage.getItem(key) !== null; } catch { return false; } },
    write: (paused) => { try { if (paused) sessionStorage.setItem(key, "1"); else sessionStorage.removeItem(key); } catch { /* until the page is left */ } },
  };
}

// Where the keyboard goes on, also when what had the focus is listed there no more: a call may be in several lists.
function placeOf(element, heading) {
  return [...element.querySelectorAll("section")].find((one) => one.querySelector("h2")?.textContent === heading) || element;
}

// What is read keeps its place while what is above it changes: the card or row under the mouse, or the first in view.
const marksOf = (element) => [...element.querySelectorAll(element.querySelector("section.card") ? "section.card" : "tbody tr")];
const nameOf = (mark) => mark.querySelector("h2")?.textContent || mark.querySelector("a.who")?.getAttribute("href");
function markInView(element) {
  if (scrollY === 0) return null;
  const marks = marksOf(element);
  const mark = marks.find((one) => one.matches(":hover")) || marks.find((one) => one.getBoundingClientRect().bottom > 0);
  return mark && nameOf(mark) ? { name: nameOf(mark), top: mark.getBoundingClientRect().top } : null;
}

function keepInView(element, read) {
  const mark = read && marksOf(element).find((one) => nameOf(one) === read.name);
  if (mark) scrollBy({ top: mark.getBoundingClientRect().top - read.top, behavior: "instant" });
}

// Renews a part of the page and says how it stands: live, paused, held while text is selected, or not updated.
function refresh(element) {
  const every = Number(element.dataset.every || "3") * 1000;
  const sign = document.querySelector(`[data-live="${element.id}"]`);
  const button = sign?.querySelector("[data-live-pause]");
  const pause = keptPause(element);
  let paused = Boolean(button) && pause.read(), updated = Date.now(), shown = null, fails = false, timer = 0;

  const held = () => {
    const selection = getSelection();
    if (String(selection).length > 0 && element.contains(selection.anchorNode)) return texts.selecting;
    if (element.querySelector(":active")) return texts.pressing;
    const active = document.activeElement;
    if (active && element.contains(active) && active.matches("input, select, textarea, summary:not([id])")) return texts.typing;
    if (element.querySelector("details[open]")) return texts.reading;
    const fields = element.querySelectorAll("input:not([type=hidden], [type=checkbox]), textarea");
    if ([...fields].some((one) => one.value !== one.defaultValue)) return texts.filling;
    return "";
  };
  const show = () => {
    const age = Date.now() - updated, why = paused ? "" : held();
    const state = paused || why ? "paused" : age > STALE_MS ? "stale" : "live";
    element.classList.toggle("stale", state === "stale");
    if (!sign) return;
    const text = paused ? texts.paused : why || (state === "live" ? texts.live : fails ? texts.failing : texts.stale);
    sign.hidden = false;
    sign.dataset.state = state;
    const place = sign.querySelector("[data-live-text]");
    if (place.textContent !== text) place.textContent = text;
    sign.querySelector("[data-live-ago]").textContent = texts.ago.replace("%(seconds)s", `${Math.floor(age / 1000)} s`);
    button.textContent = paused ? texts.resume : texts.pause;
    button.setAttribute("aria-pressed", String(paused));
  };
  const put = (part) => {
    const whole = "whole" in element.dataset;
    if (whole) {
      const page = new DOMParser().parseFromString(part, "text/html");
      part = page.getElementById(element.id)?.innerHTML;
      if (part === undefined) return;
    }
    updated = Date.now();
    if (part === shown) return;
    shown = part;
    const active = document.activeElement;
    const focused = element.contains(active) ? active.id || active.getAttribute("href") : null;
    const heading = element.contains(active) ? active.closest("section")?.querySelector("h2")?.textContent : undefined;
    const read = markInView(element);
    const kept = [...element.querySelectorAll("[data-keep]")];  // drawn by a script, which renews them itself
    element.innerHTML = part;
    for (const one of kept) document.getElementById(one.id)?.replaceWith(one);
    if (focused) {
      const place = placeOf(element, heading);
      const again = [...place.querySelectorAll("a[href], [id]")].find((one) => (one.id || one.getAttribute("href")) === focused);
      if (!again) place.tabIndex = -1;
      (again || place).focus({ preventScroll: true });
    }
    localize(element);
    tick();
    countInTitle();
    keepInView(element, read);
    element.dispatchEvent(new Event("renewed"));
  };
  const again = async () => {
    clearTimeout(timer);
    if (!paused && !held() && !document.hidden) {
      try {
        const part = await fetchPart(element.dataset.refresh, { signal: AbortSignal.timeout(ANSWER_MS) });
        fails = part === null;
        if (part !== null && !paused && !held()) put(part);
      } catch { fails = false; /* the sign says since when */ }
    }
    show();
    timer = setTimeout(again, every);
  };
  button?.addEventListener("click", () => {
    paused = !paused;
    pause.write(paused);
    show();
    if (!paused) again();
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) again(); });
  setInterval(show, 1000);
  show();
  timer = setTimeout(again, every);
}

// A range such as today in a saved view is one of the viewer's time zone.
function inViewersZone(link) {
  const url = new URL(link.href);
  if (!url.searchParams.has("range")) return;
  url.searchParams.set("tz", Intl.DateTimeFormat().resolvedOptions().timeZone || "");
  url.searchParams.set("zone", String(new Date().getTimezoneOffset()));
  link.href = url.pathname + url.search;
}

// How many callers wait stands in the tab's title.
function countInTitle() {
  const count = document.querySelector("[data-waiting-count]")?.dataset.waitingCount;
  if (count === undefined) return;
  const title = document.title.replace(/^\(\d+\) /, "");
  document.title = count === "0" ? title : `(${count}) ${title}`;
}

function checkWhileTyping(form) {
  const place = document.getElementById(form.dataset.result);
  let timer = 0, running = false, changed = false;
  // One check at a time: what is typed meanwhile is checked after it, and what was typed in between never.
  const check = async () => {
    if (running) { changed = true; return; }
    running = true;
    place.setAttribute("aria-busy", "true");
    let part = null;
    do {
      changed = false;
      const body = new URLSearchParams(new FormData(form));
      part = await fetchPart(form.dataset.check, { method: "POST", body }).catch(() => null);
    } while (changed);
    running = false;
    place.removeAttribute("aria-busy");
    if (part === null) return;
    place.innerHTML = part;
    for (const one of place.querySelectorAll("[data-into]")) {
      const target = document.getElementById(one.dataset.into);
      if (target && target.innerHTML !== one.innerHTML) target.innerHTML = one.innerHTML;
      one.remove();
    }
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
  button.textContent = texts.copied;
  setTimeout(() => { button.textContent = before; }, 1200);
});

// `/` and Ctrl-K or Cmd-K go to the search box.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  const slash = event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey;
  const letter = event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
  const box = slash || letter ? document.querySelector("[data-find]") : null;
  if (!box) return;
  event.preventDefault();
  box.focus();
  box.select();
});

document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.confirm || event.target.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
});

// After a form was refused: the keyboard goes on at its first mistake, or at what says why.
function goToMistake() {
  if (!("refused" in document.body.dataset) || document.querySelector("[autofocus]")) return;
  const fields = [...document.querySelectorAll("main [aria-invalid=true]")];
  const place = fields.find((one) => one.checkVisibility()) || document.querySelector("main [role=alert]");
  if (!place) return;
  if (!place.matches("input, select, textarea")) place.tabIndex = -1;
  place.focus();
}

document.addEventListener("DOMContentLoaded", () => {
  localize(document);
  goToMistake();
  tick();
  setInterval(tick, 1000);
  for (const zone of document.querySelectorAll("input[data-zone]")) zone.value = String(new Date().getTimezoneOffset());
  for (const zone of document.querySelectorAll("input[data-tz]")) zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
  for (const link of document.querySelectorAll("a[data-zoned]")) inViewersZone(link);
  countInTitle();
  for (const element of document.querySelectorAll("[data-refresh]")) refresh(element);
  for (const form of document.querySelectorAll("form[data-check]")) checkWhileTyping(form);
  for (const select of document.querySelectorAll("select[data-submits]")) {
    select.addEventListener("change", () => select.form.requestSubmit());
  }
});
