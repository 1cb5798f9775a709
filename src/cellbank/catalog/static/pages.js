// What a page can do beyond being read: copy buttons, and a box that filters tables.
"use strict";

async function copy(text, element) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return true;
  }
  // Browsers keep the clipboard from pages that came over plain http.
  getSelection().selectAllChildren(element);
  return document.execCommand("copy");
}

function addCopyButton(element) {
  const button = document.createElement("button");
  const what = element.dataset.copy;
  const say = (word, label) => {
    button.textContent = word;
    button.setAttribute("aria-label", label);
  };
  const text = element.textContent;
  button.type = "button";
  button.className = "copy";
  say("Copy", `Copy ${what}`);
  button.addEventListener("click", async () => {
    const done = await copy(text, element).catch(() => false);
    say(done ? "Copied" : "Press Ctrl-C", done ? `Copied ${what}` : `Press Ctrl-C to copy ${what}`);
    if (!done) getSelection().selectAllChildren(element);
    setTimeout(() => say("Copy", `Copy ${what}`), 2000);
  });
  (element.closest("pre") ?? element).after(button);
}

function addFilter(area) {
  const label = document.createElement("label");
  const box = document.createElement("input");
  const said = document.createElement("span");
  label.className = "filter";
  box.type = "search";
  said.setAttribute("role", "status");
  label.append(`${area.dataset.filter} `, box);
  const line = document.createElement("p");
  line.append(label, " ", said);
  area.prepend(line);
  const rows = [...area.querySelectorAll("tbody tr")];
  box.addEventListener("input", () => {
    const wanted = box.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
      shown += row.hidden ? 0 : 1;
    }
    for (const section of area.querySelectorAll("section")) {
      section.hidden = Boolean(wanted) && !section.querySelector("tbody tr:not([hidden])");
    }
    said.textContent = wanted ? `${shown} of ${rows.length}` : "";
  });
}

document.querySelectorAll("[data-copy]").forEach(addCopyButton);
document.querySelectorAll("[data-filter]").forEach(addFilter);
