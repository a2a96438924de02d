// Single keys, for those who like them. None does anything that cannot be done without; they can be turned off for good.

import { togglePause } from "./connection.js";
import { element } from "./elements.js";
import { newest } from "./place.js";
import { showWhatIsNew } from "./timeline.js";

const KEYS = [
  ["j", "The next entry", () => step(1)],
  ["k", "The entry before", () => step(-1)],
  ["o", "Its original", () => follow(".u-syndication", ".body h3 a", '.body > :not(.meta, .context) a[href^="http"]')],
  ["Enter", "Its own page", () => follow(".when a")],
  ["x", "Open or close a group", fold],
  [".", "What is new", showWhatIsNew],
  ["t", "To the top", () => scrollTo({ top: 0 })],
  ["/", "Search", () => document.getElementById("q")?.focus()],
  ["p", "Pause, and go on", togglePause],
  ["s", "The whole screen", () => location.assign(`/screen${new URL(newest(), location).search}`)],
  ["?", "These keys", () => help.showModal()],
];
const OFF = "keys-off";

const help = element("dialog", { className: "keys" });
if (document.getElementById("stream")) {
  document.addEventListener("keydown", pressed);
  makeHelp();
}

function pressed(event) {
  const inField = event.target.closest?.("input, textarea, select, dialog, [contenteditable]");
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || inField) return;
  if (!getSelection().isCollapsed || (recall() && event.key !== "?")) return;
  if (event.key === "Enter" && !document.activeElement?.matches("article")) return;
  const known = KEYS.find(([key]) => key === event.key);
  if (!known) return;
  event.preventDefault();
  known[2]();
}

function cards() {
  return [...document.querySelectorAll("#stream .list > article")];
}

function current() {
  return document.activeElement?.closest("#stream article");
}

function step(by) {
  const all = cards();
  const at = all.indexOf(current());
  const bar = document.querySelector(".top")?.offsetHeight ?? 0;
  const onScreen = all.findIndex((one) => one.getBoundingClientRect().bottom > bar + 40);
  const to = all[at < 0 ? onScreen : at + by];
  to?.focus({ preventScroll: true });
  to?.scrollIntoView({ block: "start" });
}

function follow(...selectors) {
  const card = current();
  selectors.map((one) => card?.querySelector(one)).find(Boolean)?.click();
}

function fold() {
  const group = current()?.querySelector("details");
  if (group) group.open = !group.open;
}

// -- help -----------------------------------------------------------------------------------------

function makeHelp() {
  help.setAttribute("aria-labelledby", "keys-title");
  const keys = KEYS.map(([key, does]) => `<dt><kbd>${key}</kbd></dt><dd>${does}</dd>`).join("");
  help.innerHTML = `<h2 id="keys-title">Keyboard</h2><dl>${keys}</dl>
    <p><label><input type="checkbox"> Single keys do something here</label></p>
    <form method="dialog"><button class="btn">Close</button></form>`;
  const on = help.querySelector("input");
  on.checked = !recall();
  on.addEventListener("change", () => remember(on.checked));
  document.body.append(help);
  const item = element("li", { innerHTML: '<button type="button" class="plain">Keyboard</button>' });
  item.firstChild.addEventListener("click", () => help.showModal());
  document.querySelector(".foot ul")?.prepend(item);
}

function recall() {
  try {
    return localStorage.getItem(OFF);
  } catch {
    return null;
  }
}

function remember(on) {
  try {
    if (on) localStorage.removeItem(OFF);
    else localStorage.setItem(OFF, "1");
  } catch {
    // then not for longer than this page
  }
}
