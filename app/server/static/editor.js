// The form of a rule, with script: its parts change in place, values are suggested, and unsaved changes are guarded.
"use strict";

function enhanceEditor(form) {
  const part = document.getElementById("pattern-part");
  const saved = () => new URLSearchParams(new FormData(form)).toString();
  let before = "changed" in form.dataset ? null : saved(), leaving = false;

  // Buttons that change conditions or hours answer with the new part instead of a new page.
  form.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-changes] button[name=part]");
    if (!button) return;
    event.preventDefault();
    const place = button.closest("[data-changes]");
    const body = new URLSearchParams(new FormData(form));
    body.set("part", button.value);
    place.setAttribute("aria-busy", "true");
    const answer = await fetchPart(form.dataset.part, { method: "POST", body }).catch(() => null);
    place.removeAttribute("aria-busy");
    if (answer === null) { leaving = true; form.requestSubmit(button); return; }
    const untouched = before !== null && saved() === before;
    place.innerHTML = answer;
    focusAfter(place, button.value);
    if (untouched && button.hasAttribute("aria-pressed")) before = saved();
    form.dispatchEvent(new Event("input", { bubbles: true }));
  });

  function focusAfter(place, value) {
    const [name, number] = value.replace("hours-", "").split("-");
    const inputs = [...place.querySelectorAll("input:not([type=hidden])")];
    const target = name === "or" ? place.querySelectorAll(".line")[Number(number) + 1]?.querySelector("select")
      : name === "group" || (name === "add" && place === part) ? [...place.querySelectorAll(".of-field")].filter((one) => !one.value).at(-1)
      : name === "add" ? place.querySelector(".hours-row:last-of-type input[type=checkbox]")
      : name === "remove" ? inputs[0]
      : null;
    (target || place.querySelector(`[name=part][value="${value}"]`) || place.querySelector("[name=part]"))?.focus();
  }

  // The values that recent events have in the field, as soon as it is named.
  part.addEventListener("change", async (event) => {
    if (event.target.name !== "line-field") return;
    const list = event.target.closest(".line").querySelector("datalist");
    const url = `${form.dataset.values}?field=${encodeURIComponent(event.target.value)}`;
    const answer = await fetchPart(url).catch(() => null);
    if (answer !== null && list) list.innerHTML = answer;
    delete list?.dataset.known;
  });

  // A list of values is completed after its last comma.
  part.addEventListener("input", (event) => {
    if (event.target.name !== "line-values") return;
    const list = event.target.list;
    if (!list) return;
    list.dataset.known ??= JSON.stringify([...list.options].map((one) => [one.value, one.textContent]));
    const typed = event.target.value, start = typed.slice(0, typed.lastIndexOf(",") + 1);
    const used = new Set(typed.split(",").map((one) => one.trim()));
    list.replaceChildren(...JSON.parse(list.dataset.known).filter(([value]) => !start || !used.has(value)).map(([value, note]) => {
      const option = document.createElement("option");
      option.value = start ? `${start} ${value}` : value;
      option.textContent = note;
      return option;
    }));
  });

  form.addEventListener("submit", () => { leaving = true; });
  window.addEventListener("beforeunload", (event) => {
    if (!leaving && saved() !== before) event.preventDefault();
  });
  window.addEventListener("pageshow", () => { leaving = false; });
}

// Rules are dragged onto the one above which they go; the buttons of each row do the same.
function dragRows(rows) {
  let dragged = null;
  for (const row of rows) {
    row.draggable = true;
    row.addEventListener("dragstart", (event) => {
      dragged = row;
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setData("text/plain", row.dataset.rule);
      row.classList.add("dragged");
    });
    row.addEventListener("dragend", () => { dragged = null; for (const one of rows) one.classList.remove("dragged", "drop-here"); });
    row.addEventListener("dragover", (event) => {
      if (!dragged || dragged === row) return;
      event.preventDefault();
      for (const one of rows) one.classList.toggle("drop-here", one === row);
    });
    row.addEventListener("drop", (event) => {
      event.preventDefault();
      if (!dragged || dragged === row) return;
      const form = dragged.querySelector("form.steps");
      const above = document.createElement("input");
      above.type = "hidden";
      above.name = "above";
      above.value = row.dataset.rule;
      form.append(above);
      form.submit();
    });
  }
}

document.addEventListener("DOMContentLoaded", () => {
  for (const form of document.querySelectorAll("form[data-guard]")) enhanceEditor(form);
  dragRows([...document.querySelectorAll("tr[data-rule]")]);
});

// After a move the focus is with the rule again; once the page has been scrolled to it, which would take the focus away.
window.addEventListener("load", () => setTimeout(() => {
  const row = location.hash.startsWith("#rule-") && document.getElementById(location.hash.slice(1));
  if (row && document.querySelector("[role=status]")) row.querySelector(".steps button, a, button")?.focus();
}));
