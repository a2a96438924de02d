// Today's figures, kept up in place and in silence: the sentence, the filters' counts, the ribbon's ticks and its needle.
// Where it is more than a number that changes, a new day say, they are asked for again.

import { keepingPlace, newest } from "./place.js";

const EVERY = 20_000;
const NOT_ALL_AT_ONCE = 5_000; // other pages are open too

const main = document.querySelector("main[data-live-url]");
let asking = 0;

if (main && lead()) {
  document.addEventListener("stream:put", ({ detail }) => came(detail));
  document.addEventListener("stream:gone", askSoon);
  document.addEventListener("visibilitychange", moveNeedle);
  setInterval(moveNeedle, EVERY);
  moveNeedle();
}

function lead() {
  return document.querySelector(".lead:has([data-counts])");
}

function came({ entry, fresh, day, card }) {
  const { day: today, minute } = ownersClock(new Date());
  if (day !== today) return;
  const { counts } = lead().querySelector("[data-counts]").dataset;
  const told = lead().querySelector("h1[data-told]")?.dataset.told ?? today;
  if (!fresh || counts !== today || told !== today) return askSoon();
  if (!new URL(location.href).searchParams.has("kind")) add("", 1);
  add(entry.kind, 1);
  tell(entry.kind, amountOf(entry));
  tick(entry.kind, Math.min(minute, ownersClock(new Date(card.dataset.ordered)).minute));
}

// A push counts as its commits, photos as many as there are.
function amountOf({ kind, data, media }) {
  if (kind === "code") return Math.max(1, data.commits?.length ?? 1);
  if (kind === "photo") return Math.max(1, media.filter(({ type }) => type.startsWith("image")).length);
  return 1;
}

function add(kind, by) {
  const count = lead().querySelector(`[data-count="${CSS.escape(kind)}"]`);
  if (count) count.textContent = written(read(count.textContent) + by);
}

function tell(kind, amount) {
  const link = lead().querySelector(`h1 [data-amount="${CSS.escape(kind)}"]`);
  if (!link) return;
  const now = read(link.textContent) + amount;
  link.textContent = `${written(now)} ${now === 1 ? link.dataset.one : link.dataset.many}`;
}

function read(text) {
  return Number(text.match(/\d[\d,.\s]*/)?.[0].replace(/\D/g, "") ?? 0);
}

function written(number) {
  return number.toLocaleString(document.documentElement.lang);
}

// -- the ribbon -----------------------------------------------------------------------------------

function tick(kind, minute) {
  const ribbon = lead().querySelector(".ribbon[data-ticks]");
  if (!ribbon) return;
  const { foot, tops } = JSON.parse(ribbon.dataset.ticks);
  const line = `M${minute} ${foot}V${tops[kind] ?? tops.other}`;
  const path = `<path d="${line}" stroke="currentColor" stroke-width="3" vector-effect="non-scaling-stroke"/>`;
  ribbon.querySelector("svg").insertAdjacentHTML("afterbegin", path);
}

function moveNeedle() {
  const ribbon = lead()?.querySelector(".ribbon[data-now]");
  if (!ribbon || document.hidden) return;
  const { day, minute } = ownersClock(new Date());
  if (day !== lead().querySelector("[data-counts]").dataset.counts) return askSoon();
  const needle = ribbon.querySelector(".needle");
  needle.setAttribute("d", needle.getAttribute("d").replace(/^M\d+/, `M${minute}`));
  const ahead = ribbon.querySelector(".ahead");
  ahead.setAttribute("x", minute);
  ahead.setAttribute("width", 1440 - minute);
}

function ownersClock(when) {
  const form = {
    year: "numeric", month: "2-digit", day: "2-digit", hour: "numeric", minute: "numeric",
    hourCycle: "h23", timeZone: main.dataset.zone,
  };
  const parts = new Intl.DateTimeFormat("en", form).formatToParts(when);
  const { year, month, day, hour, minute } = Object.fromEntries(parts.map(({ type, value }) => [type, value]));
  return { day: `${year}-${month}-${day}`, minute: Number(hour) * 60 + Number(minute) };
}

// -- afresh ---------------------------------------------------------------------------------------

function askSoon() {
  asking ||= setTimeout(ask, Math.random() * NOT_ALL_AT_ONCE);
}

async function ask() {
  const old = lead();
  try {
    if (old.contains(document.activeElement)) return;
    const answer = await fetch(newest());
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = page.querySelector(".lead");
    if (!answer.ok || !next || old.contains(document.activeElement)) return;
    if (scrollY) keepingPlace(document.getElementById("stream"), () => old.replaceWith(next));
    else old.replaceWith(next);
  } catch {
    // at the next occasion
  } finally {
    asking = 0;
  }
}
