// /globe: turns the globe that the server drew, by itself, by hand, and to each new place. The list beside it
// is what it shows; without script both are there and stand still.

import { togglePause } from "./connection.js";
import { above, coastsOf } from "./earth.js";
import { element, parsed } from "./elements.js";

const DEGREES_A_SECOND = 2;
const FRAME = 33; // by itself it turns slowly: thirty pictures a second do
const TURNS_IN = 1_200;
const TITLE_FOR = 8_000;
const RESTS_FOR = 12_000; // after somebody turned it
const KEY_TURNS = 10;
const MOST_CHARS = 42;

const main = document.querySelector("main[data-land]");
const ball = document.getElementById("globe");
const list = document.getElementById("places");
const placed = document.getElementById("placed");
const news = document.getElementById("news");
const spin = document.getElementById("spin");
const [grid, land, dots, rings] = [".grid", ".land", ".dots", ".rings"].map((part) => ball.querySelector(part));
const still = matchMedia("(prefers-reduced-motion: reduce)");

// -- the view -------------------------------------------------------------------------------------

let coasts = null; // until they are here, it stays as the server drew it
let lat = Number(main.dataset.lat);
let lon = Number(main.dataset.lon);

function look(toLat, toLon) {
  lat = Math.max(-90, Math.min(90, toLat));
  lon = eastward(toLon);
}

function eastward(degrees) {
  return ((((degrees + 180) % 360) + 360) % 360) - 180;
}

function draw() {
  const view = above(lat, lon);
  land.setAttribute("d", view.land(coasts));
  grid.setAttribute("d", view.grid());
  for (const { item, mark } of marks) {
    const { at, isSeen } = view.point(item.dataset.lat, item.dataset.lon);
    mark.setAttribute("transform", `translate(${at})`);
    mark.setAttribute("display", isSeen ? "inline" : "none");
  }
}

// -- places ---------------------------------------------------------------------------------------

let marks = []; // what stands where on the globe: a dot for each place, and the rings
let ringed = null; // the place that came last

function markAll() {
  if (!coasts) return;
  const items = [...list.children];
  marks = items.map((item, at) => ({ item, mark: dotOf(item, at) }));
  dots.replaceChildren(...marks.map(({ mark }) => mark).reverse());
  rings.setAttribute("display", "none");
  if (!ringed?.isConnected) ring(items[0]);
  if (ringed) marks.push({ item: ringed, mark: rings });
  draw();
}

function ring(item, title = "") {
  ringed = item;
  rings.setAttribute("class", `rings ${title && "landed"} ${item?.className ?? ""}`);
  rings.querySelector("text").textContent = title.length > MOST_CHARS ? `${title.slice(0, MOST_CHARS - 1)}…` : title;
}

function dotOf(item, at) {
  const dot = document.createElementNS(ball.namespaceURI, "circle");
  dot.setAttribute("class", item.className);
  dot.setAttribute("r", at ? 18 : 24);
  return dot;
}

function itemOf(entry) {
  const card = parsed(entry.html);
  const time = card.querySelector("time").cloneNode(true);
  time.removeAttribute("class");
  const item = element("li", { className: /\bh\d\d\b/.exec(card.className)[0] });
  const { lat: toLat, lon: toLon, name } = entry.location;
  Object.assign(item.dataset, { id: entry.id, ordered: card.dataset.ordered, lat: toLat.toFixed(2), lon: toLon.toFixed(2) });
  const link = element("a", { href: `/entries/${entry.id}`, dir: "auto" });
  const { content_warning: warning, sensitive } = entry.data;
  link.textContent = warning || (sensitive === true && "Sensitive") || entry.title || name || entry.summary || "A place";
  const where = element("span", { dir: "auto" });
  where.textContent = name && name !== link.textContent ? name : coordinates(item.dataset);
  item.append(time, link, where);
  return item;
}

function coordinates({ lat: toLat, lon: toLon }) {
  const north = `${Math.abs(toLat).toFixed(2)}° ${toLat < 0 ? "S" : "N"}`;
  return `${north} ${Math.abs(toLon).toFixed(2)}° ${toLon < 0 ? "W" : "E"}`;
}

function there(id) {
  return [...list.children].find((item) => item.dataset.id === id);
}

function put(entry, fresh) {
  const old = there(entry.id);
  if (!entry.location) return old && remove(entry.id);
  if (!old && !fresh) return;
  const item = itemOf(entry);
  if (old) {
    item.replaceChild(old.firstChild, item.firstChild); // the time as the list says it
    old.replaceWith(item);
    return markAll();
  }
  const older = [...list.children].find(({ dataset }) => dataset.ordered <= item.dataset.ordered);
  list.insertBefore(item, older ?? null);
  while (list.children.length > Number(list.dataset.most)) list.lastElementChild.remove();
  count(1);
  if (item.isConnected) landOn(item);
  markAll();
}

function remove(id) {
  there(id)?.remove();
  count(-1);
  markAll();
}

function count(more) {
  const now = Math.max(0, Number(placed.dataset.count) + more);
  placed.dataset.count = now;
  const said = `${now.toLocaleString("en")} ${now === 1 ? "entry carries" : "entries carry"} a place.`;
  placed.textContent = `${said} A new one lands here as it is published.`;
}

let titled = 0;

function landOn(item) {
  const title = item.querySelector("a").textContent;
  news.textContent = `New place: ${title}`;
  rings.querySelectorAll("circle").forEach((circle) => circle.replaceWith(circle.cloneNode())); // moves again
  ring(item, title);
  clearTimeout(titled);
  titled = setTimeout(() => ring(ringed), TITLE_FOR);
  turnTo(item, TITLE_FOR);
}

// -- turning --------------------------------------------------------------------------------------

let turns = true;
let restsUntil = 0;
let flight = null;
let dragged = null;
let last = 0;

function frame(now) {
  requestAnimationFrame(frame);
  if (flight) fly(now);
  else if (now - last < FRAME) return;
  else if (turns && !paused && !still.matches && !dragged && now > restsUntil) {
    look(lat, lon - (DEGREES_A_SECOND * Math.min(now - last, 1000)) / 1000);
    draw();
  }
  last = now;
}

function turnTo({ dataset }, rest = RESTS_FOR) {
  restsUntil = performance.now() + rest;
  const to = [Number(dataset.lat), Number(dataset.lon)];
  if (still.matches) {
    look(...to);
    return coasts && draw();
  }
  flight = { from: [lat, lon], by: [to[0] - lat, eastward(to[1] - lon)], begins: performance.now() };
}

function fly(now) {
  const share = Math.min(1, Math.max(0, now - flight.begins) / TURNS_IN);
  const eased = share * share * (3 - 2 * share);
  look(flight.from[0] + eased * flight.by[0], flight.from[1] + eased * flight.by[1]);
  draw();
  if (share === 1) flight = null;
}

function turnBy(north, east) {
  flight = null;
  restsUntil = performance.now() + RESTS_FOR;
  look(lat + north, lon + east);
  draw();
}

const KEYS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, 0], ArrowDown: [-1, 0] };

function listen() {
  ball.addEventListener("keydown", (event) => {
    const way = KEYS[event.key];
    if (!way || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    turnBy(...way.map((one) => one * KEY_TURNS));
  });
  ball.addEventListener("pointerdown", (event) => {
    ball.setPointerCapture(event.pointerId);
    dragged = [event.clientX, event.clientY];
  });
  ball.addEventListener("pointermove", ({ clientX, clientY }) => {
    if (!dragged) return;
    const degrees = 180 / Math.PI / (ball.getBoundingClientRect().width / 2);
    turnBy((clientY - dragged[1]) * degrees, (dragged[0] - clientX) * degrees);
    dragged = [clientX, clientY];
  });
  for (const end of ["pointerup", "pointercancel"]) ball.addEventListener(end, () => (dragged = null));
  for (const use of ["focusin", "pointerover"]) {
    list.addEventListener(use, ({ target }) => target.closest("li") && turnTo(target.closest("li")));
  }
  spin.addEventListener("click", () => {
    turns = !turns;
    restsUntil = 0;
    spin.textContent = turns ? "Stop turning" : "Let it turn";
  });
}

async function begin() {
  const answer = await fetch(main.dataset.land);
  coasts = coastsOf(await answer.json());
  markAll();
  ball.setAttribute("tabindex", "0");
  spin.hidden = still.matches;
  listen();
  requestAnimationFrame(frame);
}

// -- what live.js hears, and the reader lets in ---------------------------------------------------

let paused = false;
const waiting = [];

function hear(change) {
  if (paused) waiting.push(change);
  else change();
}

document.addEventListener("live:entry", ({ detail: { entry, fresh } }) => hear(() => put(entry, fresh)));
document.addEventListener("live:delete", ({ detail: { id } }) => hear(() => there(id) && remove(id)));
document.addEventListener("stream:pause", ({ detail }) => {
  paused = detail.paused;
  if (!paused) waiting.splice(0).forEach((change) => change());
});
document.addEventListener("keydown", (event) => {
  if (event.key === "p" && !event.ctrlKey && !event.metaKey && !event.altKey) togglePause();
});

begin();
