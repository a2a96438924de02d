// Tells of what has come: a tag and the sky's tint on the entry, a pill where it came in out of sight, the number in the
// title, and a sentence for screen readers. Never by sound, never by a system's notification.

import { element, icon } from "./elements.js";

const TINTED_FOR = 30_000;
const TAGGED_FOR = 60_000;
const SAID_EVERY = 10_000;
const SAID_AFTER = 500;
const MOST = 50;

const KINDS = {
  article: ["a post", "posts"], note: ["a note", "notes"], photo: ["a photo", "photos"], video: ["a video", "videos"],
  audio: ["a recording", "recordings"], listen: ["a listen", "listens"], watch: ["a film", "films"],
  code: ["a push", "pushes"], release: ["a release", "releases"], like: ["a like", "likes"],
  repost: ["a repost", "reposts"], reply: ["a reply", "replies"], bookmark: ["a bookmark", "bookmarks"],
  follow: ["a follow", "follows"], checkin: ["a check-in", "check-ins"], event: ["an event", "events"],
};

const title = document.title;
const unseen = new Set(); // entries in the document that have not been on the screen, as far as is known
const away = new Set(); // those of them that are known to be off it
let waiting = []; // cards that are not in the document yet
let stuck = false; // they are too many to come by themselves
let tooMany = false;
let unsaid = 0;
let saying = 0;
let button = null;

const eyes = new IntersectionObserver((found) => {
  for (const { target, isIntersecting } of found) {
    if (isIntersecting && !document.hidden) see(target);
    else away.add(target);
  }
  refresh();
});
document.addEventListener("visibilitychange", lookAgain);

// Of an entry that has just been put into the page; one that joined a group makes no more ado than a sentence.
export function tellOf(card, { silent }) {
  unsaid += 1;
  saying ||= setTimeout(say, SAID_AFTER);
  if (silent) return;
  mark(card);
  unseen.add(card);
  eyes.observe(card);
  if (document.hidden) away.add(card); // nothing is observed then
  refresh();
}

export function isNew(card) {
  return away.has(card);
}

export function forget() {
  unseen.clear();
  away.clear();
  eyes.disconnect();
  refresh();
}

// More than anybody catches up with in place: then the page is better loaded afresh.
export function overflows(waitingNow = waiting.length) {
  tooMany ||= unseen.size + waitingNow >= MOST;
  return tooMany;
}

function mark(card) {
  card.classList.add("new");
  const tag = element("span", { className: "tag", textContent: "just now" });
  card.querySelector(".meta")?.append(" ", tag);
  setTimeout(() => card.classList.remove("new"), TINTED_FOR);
  setTimeout(() => tag.remove(), TAGGED_FOR);
}

function see(card) {
  unseen.delete(card);
  away.delete(card);
  eyes.unobserve(card);
}

// What came while nobody looked is observed anew: then it is known what is on the screen.
function lookAgain() {
  if (document.hidden) return;
  for (const card of unseen) {
    eyes.unobserve(card);
    eyes.observe(card);
  }
}

// -- the pill, and the title ----------------------------------------------------------------------

export function makePill(onPress) {
  button = element("button", { className: "pill", type: "button" });
  button.addEventListener("click", onPress);
  refresh();
  document.querySelector(".top").after(button);
}

// `cards` are not in the document yet; `areStuck`: only the pill brings them there.
export function waits(cards, areStuck) {
  waiting = cards;
  stuck = areStuck;
  refresh();
}

function refresh() {
  if (!button) return; // a page that is not live
  for (const card of unseen) if (!card.isConnected) see(card);
  const count = away.size + waiting.length;
  const number = overflows() ? `${MOST}+` : count;
  document.title = count ? `(${number}) ${title}` : title;
  button.hidden = !(tooMany || away.size || stuck);
  const textContent = tooMany ? "load the page afresh" : kindsOf([...away, ...waiting]);
  button.replaceChildren(icon("up"), `${number} new `, element("span", { textContent }));
}

function kindsOf(cards) {
  const counts = new Map();
  for (const card of cards) {
    const kind = card.className.match(/\bk-(\w+)/)?.[1];
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  const words = [...counts].map(([kind, count]) => {
    const [one, many] = KINDS[kind] ?? ["an entry", "entries"];
    return count === 1 ? one : `${count} ${many}`;
  });
  return new Intl.ListFormat(document.documentElement.lang).format(words);
}

// -- for screen readers ---------------------------------------------------------------------------

function say() {
  saying = 0;
  if (!unsaid) return;
  document.getElementById("news").textContent = unsaid === 1 ? "1 new entry" : `${unsaid} new entries`;
  unsaid = 0;
  saying = setTimeout(say, SAID_EVERY);
}
