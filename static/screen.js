// /screen: one entry at a time, as large as the screen. It begins with what the server shows, goes on with the newest
// 200 of the API, and lets in what live.js hears: a new entry comes next. Whatever fails, it shows what it has.

import { drawn, minuteOf, nothing, quiet, slideOf, today } from "./slides.js";

const MOST = 200;
const EACH = 40_000;
const SOONEST = 8_000;
const FADE = 1_600;
const PATIENCE = 20_000;
const ASK_AGAIN = 30_000;
const QUIET_AFTER = 3_600_000;
const NEEDLE_EVERY = 20_000;
const CURSOR_FOR = 2_000;
const LEAVE_FOR = 4_000;

const main = document.querySelector("main");
const stage = document.getElementById("stage");
const leave = document.querySelector(".leave");

// -- what is to come ------------------------------------------------------------------------------

const known = new Map(); // the newest, by id
const trail = []; // what was shown, for going back
let at = -1;
let arrived = [];
let deck = [];
let rounds = 0;
let loaded = false;
let news = Date.parse(main.dataset.last) || 0;
let stirredAt = Date.now(); // when there was something new last, or it was said that there is nothing

function upcoming() {
  arrived = arrived.filter((id) => known.has(id)).sort((one, other) => byNewest(known.get(one), known.get(other)));
  if (arrived.length) return known.get(arrived[0]);
  if (news && Date.now() - stirredAt >= QUIET_AFTER) return quiet(news);
  deck = deck.filter((id) => known.has(id) && id !== trail[at]);
  if (!deck.length) deck = dealt();
  return known.get(deck[0]);
}

// Newest first, from the second round on in any order; but always the pictures before the words.
function dealt() {
  const others = [...known.values()].filter(({ id }) => id !== trail[at]).sort(byNewest);
  if (others.length && rounds++) shuffle(others);
  return others.sort((one, other) => isPhoto(other) - isPhoto(one)).map(({ id }) => id);
}

function shuffle(slides) {
  slides.forEach((one) => (one.chance = Math.random()));
  slides.sort((one, other) => one.chance - other.chance);
}

function byNewest(one, other) {
  return one.ordered < other.ordered ? 1 : -1;
}

function isPhoto({ look }) {
  return look === "photo";
}

function learn(entry) {
  const slide = slideOf(entry);
  if (!slide) return forget(entry.id);
  known.set(slide.id, slide);
  if (known.size > MOST) known.delete([...known.values()].sort(byNewest).at(-1).id);
}

function forget(id) {
  known.delete(id);
  if (id === trail[at]) next();
}

async function load() {
  try {
    const url = new URL(main.dataset.entries, location.href);
    url.searchParams.set("limit", MOST);
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(answer.status);
    const { entries } = await answer.json();
    entries.filter(({ id }) => !known.has(id)).forEach(learn); // what was heard meanwhile is newer
    loaded = true;
    stage.removeAttribute("aria-busy");
    preload();
    if (trail.length && !known.has(trail[at])) next();
  } catch {
    setTimeout(load, ASK_AGAIN);
  }
}

// -- the show -------------------------------------------------------------------------------------

let shownAt = Date.now();
let timer = 0;
let turn = 0;
let held = false;

function plan() {
  clearTimeout(timer);
  const wait = arrived.length ? SOONEST : EACH;
  if (!held) timer = setTimeout(next, Math.max(0, shownAt + wait - Date.now()));
}

function next() {
  const slide = upcoming() ?? whatIsLeft();
  if (!slide) {
    shownAt = Date.now();
    return plan();
  }
  arrived = arrived.filter((id) => id !== slide.id);
  deck = deck.filter((id) => id !== slide.id);
  if (slide.id) trail.splice(0, Math.max(0, trail.length - MOST));
  if (slide.id) at = trail.push(slide.id) - 1;
  else stirredAt = Date.now();
  show(slide);
}

// Where nothing else is known, what is there stays; unless it was deleted, and it is known that there is nothing.
function whatIsLeft() {
  if (!loaded || !trail.length || known.has(trail[at])) return null;
  trail.length = 0;
  at = -1;
  return nothing();
}

function step(by) {
  const to = at + by;
  if (to < 0) return;
  if (to >= trail.length) return next();
  at = to;
  const slide = known.get(trail[to]);
  if (slide) show(slide);
  else step(by);
}

async function show(slide) {
  const mine = ++turn;
  clearTimeout(timer);
  const picture = await developed(slide);
  if (mine !== turn) return;
  if (slide.id && !known.has(slide.id)) return next();
  const before = [...stage.children];
  stage.append(drawn(slide, picture));
  setTimeout(() => before.forEach((one) => one.remove()), FADE);
  shownAt = Date.now();
  plan();
  preload();
}

function hold() {
  held = !held;
  document.body.classList.toggle("held", held);
  plan();
}

// -- pictures: shown when they are there as a whole -----------------------------------------------

const pictures = new Map();

function preload() {
  const ahead = upcoming();
  for (const slide of pictures.keys()) if (slide !== ahead) pictures.delete(slide);
  if (ahead) developed(ahead);
}

function developed(slide) {
  if (!slide.source) return null;
  if (!pictures.has(slide)) pictures.set(slide, decoded(slide));
  return pictures.get(slide);
}

async function decoded({ source, alt }) {
  const picture = new Image();
  picture.src = source;
  picture.alt = alt;
  const tooLate = new Promise((resolve) => setTimeout(resolve, PATIENCE));
  try {
    return await Promise.race([picture.decode().then(() => picture), tooLate]);
  } catch {
    return null; // then its words
  }
}

// -- the day --------------------------------------------------------------------------------------

const more = main.querySelector(".tick.late");
let day = today();

function mark({ day: its, minute, height }) {
  if (its === day) more.setAttribute("d", `${more.getAttribute("d")}M${minute} 18V${Math.round(18 - 16 * height)}`);
}

function moveNeedle() {
  if (day !== today()) {
    day = today();
    main.querySelectorAll(".tick").forEach((ticks) => ticks.setAttribute("d", ""));
  }
  const now = minuteOf(new Date());
  main.querySelectorAll(".needle").forEach((needle) => needle.setAttribute("d", `M${now} 0V34`));
  const ahead = main.querySelector(".bar rect");
  ahead.setAttribute("x", now);
  ahead.setAttribute("width", 1440 - now);
}

// -- who looks ------------------------------------------------------------------------------------

const KEYS = {
  f: () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen()),
  p: hold,
  " ": hold,
  ArrowRight: () => step(1),
  ArrowLeft: () => step(-1),
  Escape: () => (document.fullscreenElement ? document.exitFullscreen() : leave.click()),
};
let idling = 0;

function stir(time) {
  document.body.classList.remove("idle");
  clearTimeout(idling);
  idling = setTimeout(() => document.body.classList.add("idle"), time);
}

async function stayAwake() {
  try {
    if (!document.hidden) await navigator.wakeLock.request("screen");
  } catch {
    // not here, or not now
  }
}

addEventListener("keydown", (event) => {
  const does = KEYS[event.key];
  if (!does || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  does();
});
addEventListener("pointermove", ({ pointerType }) => pointerType === "touch" || stir(CURSOR_FOR));
addEventListener("pointerdown", () => stir(LEAVE_FOR));
document.addEventListener("visibilitychange", stayAwake);

// -- what live.js hears ---------------------------------------------------------------------------

document.addEventListener("live:entry", ({ detail: { entry, fresh } }) => {
  if (!fresh && !known.has(entry.id)) return;
  learn(entry);
  const slide = known.get(entry.id);
  if (slide && fresh) welcome(slide);
  else if (slide && slide.id === trail[at]) show(slide);
});
function welcome(slide) {
  news = stirredAt = Date.now();
  arrived.push(slide.id);
  mark(slide);
  preload();
  plan();
}

document.addEventListener("live:delete", ({ detail: { id } }) => forget(id));
document.addEventListener("live:state", ({ detail: { state } }) => {
  if (state !== "connecting") document.body.classList.toggle("away", state !== "live");
});

// -- from what the server shows -------------------------------------------------------------------

const first = stage.firstElementChild;
if (first.dataset.id) at = trail.push(first.dataset.id) - 1;
first.querySelector("img:not(.back)")?.decode().catch(() => {
  first.classList.remove("slide-photo", "slide-cover");
  first.classList.add("slide-words");
  first.querySelectorAll("img, .veil").forEach((one) => one.remove());
});

stage.setAttribute("aria-busy", "true");
stir(CURSOR_FOR);
stayAwake();
moveNeedle();
setInterval(moveNeedle, NEEDLE_EVERY);
load();
plan();
