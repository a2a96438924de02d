// Puts what live.js hears into the stream: the server's own markup, at the place that its order gives it.
// What is being read does not move, and nothing that is used is replaced under the reader's hands.
// At the top, entries come in one by one and are seen to; elsewhere they come in above, silently, and a pill tells.
// Says `stream:put`, `stream:gone` on `document`, for those who count, and hears `stream:pause` from the connection.

import { parsed } from "./elements.js";
import { deleted, grow, growsInto, shrink } from "./groups.js";
import { forget, isNew, makePill, overflows, tellOf, waits } from "./news.js";
import { keepingPlace, newest } from "./place.js";

const NEAR_THE_TOP = 120;
const ONE_EVERY = 1_500;
const WAITING_AT_MOST = 5; // at the top; more of them wait for the pill
const STILL_FOR = 150;
const LOOK_AGAIN = 2_000;
const MOST_ENTRIES = 500;

const main = document.querySelector("main[data-live-url]");
const stream = document.getElementById("stream");
const newDay = document.getElementById("new-day");

const held = new Map(); // cards that are not in the document yet, by their id, oldest arrival first
let paused = false;
let next = 0;
let lastPut = 0;
let lastScroll = 0;

if (main && stream) {
  makePill(showWhatIsNew);
  document.addEventListener("live:entry", ({ detail }) => hear(detail.entry, detail.fresh));
  document.addEventListener("live:delete", ({ detail }) => hearGone(detail.id));
  document.addEventListener("stream:pause", ({ detail }) => pause(detail.paused));
  document.addEventListener("stream:more", arrange); // older.js has put older ones below
  document.addEventListener("visibilitychange", soon);
  addEventListener("scroll", scrolled, { passive: true });
  document.querySelectorAll("#stream > section[data-day]").forEach(dressDay);
}

// -- what is heard --------------------------------------------------------------------------------

function hear(entry, fresh) {
  const card = parsed(entry.html);
  if (!card) return;
  if (document.getElementById(card.id)) return later(() => edit(card, entry));
  if (held.has(card.id)) return void held.set(card.id, { ...held.get(card.id), card, entry });
  if (!belongs(card) || (fresh && overflows(held.size))) return;
  held.set(card.id, { card, entry, fresh });
  soon();
}

function hearGone(id) {
  if (held.delete(`e-${id}`)) return pill();
  later(() => remove(id));
}

// What is older than the oldest here stands on the next page, if there is one.
function belongs(card) {
  const oldest = entries().at(-1);
  return !oldest || !document.querySelector("a[rel=next]") || card.dataset.ordered >= (oldest.dataset.since ?? oldest.dataset.ordered);
}

// -- when it is shown -----------------------------------------------------------------------------

function soon() {
  clearTimeout(next);
  if (!held.size || paused) return pill();
  const wait = watched() ? lastPut + ONE_EVERY - Date.now() : lastScroll + STILL_FOR - Date.now();
  next = setTimeout(come, Math.max(0, wait));
}

function come() {
  if (!held.size || paused) return pill();
  if (!watched()) {
    if (Date.now() - lastScroll < STILL_FOR) return soon();
    keepingPlace(stream, () => [...held.keys()].forEach(put));
  } else if (held.size <= WAITING_AT_MOST) {
    put(held.keys().next().value);
    lastPut = Date.now();
    if (held.size) soon();
  }
  pill();
}

// At the top of a page that somebody looks at and does nothing in.
function watched() {
  const focus = document.activeElement;
  return (
    scrollY <= NEAR_THE_TOP && !document.hidden && getSelection().isCollapsed && !(focus !== stream && stream.contains(focus))
  );
}

function scrolled() {
  lastScroll = Date.now();
  if (held.size) soon();
}

function pause(now) {
  paused = now;
  if (!paused) {
    apply();
    soon();
  }
}

// The pill, and the key that does the same.
export function showWhatIsNew() {
  if (overflows()) return location.assign(newest());
  [...held.keys()].forEach(put);
  const all = entries();
  const first = all.find(isNew) ?? all[0];
  if (first === all[0]) scrollTo({ top: 0 });
  else first.scrollIntoView({ block: "start" });
  first?.focus({ preventScroll: true });
  forget();
  pill();
}

function pill() {
  const cards = [...held.values()].filter(({ fresh }) => fresh).map(({ card }) => card);
  waits(cards, !paused && watched() && held.size > WAITING_AT_MOST);
}

// -- changes of what is there, several at a time --------------------------------------------------

const changes = [];

function later(change) {
  if (changes.push(change) === 1 && !paused) setTimeout(apply, 0);
}

function apply() {
  if (paused) return;
  const change = () => {
    for (const one of changes.splice(0)) {
      try {
        one();
      } catch (error) {
        console.error(error); // the others are to be seen all the same
      }
    }
  };
  if (scrollY <= NEAR_THE_TOP && !document.hidden) change();
  else keepingPlace(stream, change);
}

function edit(card, entry) {
  const there = document.getElementById(card.id);
  if (!there) return;
  const group = there.closest(".group");
  if (group) {
    // What has become something else stays until the page is loaded again.
    if (card.dataset.group === group.dataset.group) whenUnused(card.id, (old) => changed(grow(group, card, entry, old)));
    return;
  }
  whenUnused(card.id, (old) => {
    card.querySelectorAll("details").forEach((one, number) => (one.open ||= Boolean(old.querySelectorAll("details")[number]?.open)));
    old.replaceWith(card);
    arrange();
    changed(card);
  });
}

function remove(id) {
  whenUnused(`e-${id}`, (old) => {
    const group = old.closest(".group");
    if (group) shrink(group, old);
    else old.replaceWith(deleted(old, "This entry was deleted."));
    document.dispatchEvent(new CustomEvent("stream:gone"));
    if (group?.isConnected) changed(group);
  });
}

function changed(card) {
  document.dispatchEvent(new CustomEvent("stream:changed", { detail: { card: card.closest(".group") ?? card } }));
}

// -- into the document ----------------------------------------------------------------------------

function put(id) {
  const { card, entry, fresh } = held.get(id);
  held.delete(id);
  stream.querySelector(".empty")?.remove();
  const group = growsInto(stream, card);
  const shown = group ? grow(group, card, entry) : insert(card);
  if (fresh) tellOf(shown, { silent: Boolean(group) });
  document.dispatchEvent(new CustomEvent("stream:put", { detail: { card: shown, entry, fresh, day: card.dataset.day } }));
}

function insert(card) {
  const list = listOf(card);
  list.setAttribute("aria-busy", "true");
  const next = [...list.children].find((one) => one.dataset.ordered <= card.dataset.ordered);
  list.insertBefore(card, next ?? null);
  arrange();
  list.setAttribute("aria-busy", "false");
  return card;
}

function listOf({ dataset }) {
  const days = [...stream.querySelectorAll("section[data-day]")];
  const there = days.find((one) => one.dataset.day === dataset.day);
  if (there) return there.querySelector(".list");
  const day = newDay.content.firstElementChild.cloneNode(true);
  day.dataset.day = dataset.day;
  const heading = day.querySelector("h2");
  heading.id = `d-${dataset.day}`;
  day.setAttribute("aria-labelledby", heading.id);
  heading.querySelector("span").textContent = dataset.weekday;
  heading.querySelector("a").href = `/day/${dataset.day}`;
  heading.querySelector("time").textContent = dataset.date;
  heading.querySelector("time").dateTime = dataset.day;
  stream.insertBefore(day, days.find((one) => one.dataset.day < dataset.day) ?? null);
  dressDay(day);
  return day.querySelector(".list");
}

// For assistive technology a day is a feed: one can go from article to article in it.
function dressDay(day) {
  const list = day.querySelector(".list");
  list.setAttribute("role", "feed");
  if (day.hasAttribute("aria-labelledby")) list.setAttribute("aria-labelledby", day.getAttribute("aria-labelledby"));
  count(list);
}

function count(list) {
  const cards = [...list.querySelectorAll(":scope > article")];
  cards.forEach((card, number) => {
    card.setAttribute("aria-posinset", number + 1);
    card.setAttribute("aria-setsize", cards.length);
  });
}

// What depends on the neighbours: the line runs from one hour's sky to the next one's; and not too much is kept.
function arrange() {
  const all = entries();
  for (const old of all.splice(MOST_ENTRIES)) letGo(old);
  all.forEach((card, number) => {
    const below = all[number + 1];
    mend(card, (below ?? card).className.match(/\bh(\d\d)\b/)?.[0].replace("h", "t"));
  });
  stream.querySelectorAll("section[data-day] > .list").forEach((list) => (list.role === "feed" ? count(list) : dressDay(list.parentNode)));
}

function mend(card, hour) {
  if (!hour || card.classList.contains(hour)) return;
  card.className = card.className.replace(/\bt\d\d\b/, hour);
}

function letGo(card) {
  const day = card.closest("section[data-day]");
  card.remove();
  if (!day.querySelector("[data-ordered]")) day.remove();
  const older = document.querySelector(".older a[rel=next]");
  const last = stream.querySelector("section[data-day]:last-of-type");
  if (!older || !last) return;
  older.href = `/day/${last.dataset.day}`; // what was let go of stands there
  older.textContent = `${last.querySelector("h2 span").textContent} ${last.querySelector("h2 time").textContent} and earlier`;
}

function entries() {
  return [...stream.querySelectorAll(".list > [data-ordered]")];
}

// -- in place, as soon as nobody uses it ----------------------------------------------------------

const waiting = new Map();
let lookAgain = 0;

function whenUnused(id, change) {
  waiting.set(id, change); // the latest is enough
  settle();
}

function settle() {
  for (const [id, change] of waiting) {
    const there = document.getElementById(id);
    if (there && inUse(there)) continue;
    waiting.delete(id);
    if (there) change(there);
  }
  clearTimeout(lookAgain);
  if (waiting.size) lookAgain = setTimeout(later, LOOK_AGAIN, settle);
}

function inUse(card) {
  const selection = getSelection();
  return (
    card.contains(document.activeElement) ||
    [...card.querySelectorAll("audio, video")].some((one) => !one.paused) ||
    (!selection.isCollapsed && selection.containsNode(card, true))
  );
}
