// Puts what live.js hears into the stream: the server's own markup, at the place that its order gives it.
// What is being read does not move, and nothing that is used is replaced under the reader's hands.

const NEAR_THE_TOP = 120;
const SAID_EVERY = 10_000;
const PATIENCE = 1_000;
const LOOK_AGAIN = 2_000;
const AGE_EVERY = 10_000;

const main = document.querySelector("main[data-live-url]");
const stream = document.getElementById("stream");
const newDay = document.getElementById("new-day");

if (main && stream) {
  document.addEventListener("live:entry", ({ detail }) => later(() => put(detail.entry, detail.fresh)));
  document.addEventListener("live:delete", ({ detail }) => later(() => remove(detail.id)));
  document.addEventListener("live:state", ({ detail }) => showState(detail));
  document.addEventListener("live:viewers", ({ detail }) => showViewers(detail.count));
  document.addEventListener("visibilitychange", () => document.hidden || seen());
  setInterval(() => document.hidden || showWords(), AGE_EVERY);
}

// -- changes, several at a time -------------------------------------------------------------------

const changes = [];

function later(change) {
  if (changes.push(change) === 1) setTimeout(apply, 0);
}

function apply() {
  const place = readingPlace();
  for (const change of changes.splice(0)) {
    try {
      change();
    } catch (error) {
      console.error(error); // the others are to be seen all the same
    }
  }
  place?.keep();
  showWords();
}

// Browsers scroll by whole pixels; the rest is owed to the next time, or a hundred arrivals would add up.
let owed = 0;
let keptAt = -1;

function readingPlace() {
  if (scrollY <= NEAR_THE_TOP) return null;
  const bar = document.querySelector(".top")?.offsetHeight ?? 0;
  const shown = [...stream.querySelectorAll("[data-ordered]")].find((one) => one.getBoundingClientRect().bottom > bar);
  const anchor = shown ?? document.querySelector("footer");
  const top = anchor.getBoundingClientRect().top;
  const topNow = () =>
    (anchor.isConnected ? anchor : document.getElementById(anchor.id)).getBoundingClientRect().top;
  return {
    keep() {
      const wanted = top + (scrollY === keptAt ? owed : 0);
      scrollBy({ top: topNow() - wanted, behavior: "instant" });
      owed = wanted - topNow();
      keptAt = scrollY;
    },
  };
}

// -- entries --------------------------------------------------------------------------------------

function put(entry, fresh) {
  const holder = document.createElement("template");
  holder.innerHTML = entry.html;
  const card = holder.content.firstElementChild;
  if (!card) return;
  const there = document.getElementById(card.id);
  if (there) return replace(there, card);
  if (!belongs(card)) return;
  insert(card);
  if (fresh) announce(card);
}

function remove(id) {
  const there = document.getElementById(`e-${id}`);
  if (!there) return;
  const gone = document.createElement("p");
  gone.id = there.id;
  gone.className = "deleted";
  Object.assign(gone.dataset, { id, ordered: there.dataset.ordered });
  gone.textContent = "This entry was deleted.";
  replace(there, gone);
}

// What is older than the oldest here stands on the next page, if there is one.
function belongs(card) {
  const oldest = [...stream.querySelectorAll("[data-ordered]")].at(-1);
  return !oldest || !document.querySelector("a[rel=next]") || card.dataset.ordered >= oldest.dataset.ordered;
}

function insert(card) {
  stream.querySelector(".empty")?.remove();
  const day = dayOf(card);
  const next = [...day.querySelectorAll("[data-ordered]")].find((one) => one.dataset.ordered <= card.dataset.ordered);
  day.insertBefore(card, next ?? null);
}

function dayOf({ dataset }) {
  const days = [...stream.querySelectorAll("section[data-day]")];
  const there = days.find((one) => one.dataset.day === dataset.day);
  if (there) return there;
  const day = newDay.content.firstElementChild.cloneNode(true);
  day.dataset.day = dataset.day;
  day.querySelector("h2 span").textContent = dataset.weekday;
  day.querySelector("h2 time").textContent = dataset.date;
  day.querySelector("h2 time").dateTime = dataset.day;
  stream.insertBefore(day, days.find((one) => one.dataset.day < dataset.day) ?? null);
  return day;
}

// -- in place, as soon as nobody uses it ----------------------------------------------------------

const waiting = new Map();
let lookAgain = 0;

function replace(there, next) {
  waiting.set(there.id, next);
  settle();
}

function settle() {
  for (const [id, next] of waiting) {
    const there = document.getElementById(id);
    if (there && inUse(there)) continue;
    waiting.delete(id);
    there?.replaceWith(next);
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

// -- news and the connection, in words ------------------------------------------------------------

const title = document.title;
let unseen = 0;
let unsaid = 0;
let saying = 0;

function announce(card) {
  card.classList.add("new");
  unsaid += 1;
  saying ||= setTimeout(sayNews, 500);
  if (document.hidden) {
    unseen += 1;
    document.title = `(${unseen}) ${title}`;
  }
}

function sayNews() {
  saying = 0;
  if (!unsaid) return;
  document.getElementById("news").textContent = unsaid === 1 ? "1 new entry" : `${unsaid} new entries`;
  unsaid = 0;
  saying = setTimeout(sayNews, SAID_EVERY);
}

function seen() {
  unseen = 0;
  document.title = title;
  showWords();
}

const connection = document.getElementById("live");
let patience = 0;
let latest = null;
let shown = null;
let wasLive = false;

// Trouble shows when it has lasted a second; a further attempt is no news meanwhile.
function showState(detail) {
  const inTrouble = shown?.state === "reconnecting" || shown?.state === "offline";
  if (detail.state === "connecting" && (inTrouble || patience)) return;
  latest = detail;
  if (detail.state === "live") showViewers(0); // until this connection says how many there are
  if (detail.state === "live" || inTrouble) showLatest();
  else patience ||= setTimeout(showLatest, PATIENCE);
}

function showLatest() {
  clearTimeout(patience);
  patience = 0;
  shown = latest;
  wasLive ||= shown.state === "live";
  connection.dataset.state = shown.state;
  connection.title = shown.state === "live" ? `By ${shown.transport}` : "";
  showWords();
}

// Again and again, because time goes by; the document changes only when the words do.
function showWords() {
  if (!shown) return;
  const { state, wait, asOf } = shown;
  const trying = wasLive ? "Reconnecting" : "Connecting";
  const [word, more] = {
    live: ["Live", lastEntry()],
    connecting: [trying, wasLive ? "" : "this page is already complete"],
    reconnecting: [trying, `trying again in ${Math.max(1, Math.round(wait))} s`],
    offline: ["Offline", `as it was at ${clock(asOf)}`],
  }[state];
  const words = connection.querySelector(".words");
  const rest = more && ` · ${more}`;
  if (words.textContent === word + rest) return;
  const strong = document.createElement("b");
  strong.textContent = word;
  words.replaceChildren(strong, rest);
}

function lastEntry() {
  const newest = stream.querySelector("article[data-ordered]");
  return newest ? `last entry ${ago((Date.now() - Date.parse(newest.dataset.ordered)) / 1000)}` : "";
}

function ago(seconds) {
  if (seconds < 10) return "just now";
  if (seconds < 60) return `${Math.floor(seconds / 10)}0 s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  const days = Math.floor(seconds / 86400);
  return days === 1 ? "1 day ago" : `${days} days ago`;
}

function showViewers(count) {
  const here = connection.querySelector(".here");
  here.textContent = `${count} here now`;
  here.hidden = count < 2;
}

// As the server writes times.
function clock(when) {
  const form = { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: main.dataset.zone };
  return new Intl.DateTimeFormat(document.documentElement.lang, form).format(when);
}
