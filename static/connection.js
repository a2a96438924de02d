// How this page is connected, in words, at the top right: shown when trouble has lasted a second, never as an alarm.
// And Pause: what comes is held until the reader goes on. It says `stream:pause` on `document`.

import { element, icon } from "./elements.js";

const PATIENCE = 1_000;
const AGE_EVERY = 10_000;

const main = document.querySelector("main[data-live-url]");
const connection = document.getElementById("live");
let patience = 0;
let latest = null;
let shown = null;
let wasLive = false;
let paused = false;

if (main && connection) {
  const button = pauseButton();
  connection.append(button);
  document.addEventListener("live:state", ({ detail }) => showState(detail));
  document.addEventListener("live:viewers", ({ detail }) => showViewers(detail.count));
  document.addEventListener("visibilitychange", () => document.hidden || showWords());
  document.addEventListener("stream:put", showWords);
  document.addEventListener("stream:pause", ({ detail }) => {
    paused = detail.paused;
    button.setAttribute("aria-pressed", paused);
    showWords();
  });
  setInterval(() => document.hidden || showWords(), AGE_EVERY);
}

export function togglePause() {
  document.dispatchEvent(new CustomEvent("stream:pause", { detail: { paused: !paused } }));
}

function pauseButton() {
  const button = element("button", { className: "pause", type: "button", title: "Pause" });
  button.setAttribute("aria-pressed", "false");
  button.setAttribute("aria-label", "Pause: hold what comes");
  button.append(icon("pause"));
  button.addEventListener("click", togglePause);
  return button;
}

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
  connection.title = shown.state === "live" ? `By ${shown.transport}` : "";
  showWords();
}

// Again and again, because time goes by; the document changes only when the words do.
function showWords() {
  if (!shown) return;
  const { state, wait, asOf } = shown;
  const now = paused ? "paused" : state;
  const trying = wasLive ? "Reconnecting" : "Connecting";
  const [word, more] = {
    paused: ["Paused", "press P to go on"],
    live: ["Live", lastEntry()],
    connecting: [trying, wasLive ? "" : "this page is already complete"],
    reconnecting: [trying, `trying again in ${Math.max(1, Math.round(wait))} s`],
    offline: ["Offline", `as it was at ${clock(asOf)}`],
  }[now];
  connection.dataset.state = now;
  const words = connection.querySelector(".words");
  const rest = more && ` · ${more}`;
  if (words.textContent === word + rest) return;
  words.replaceChildren(element("b", { textContent: word }), element("span", { className: "long", textContent: rest }));
}

function lastEntry() {
  const newest = document.querySelector("#stream [data-ordered]");
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
