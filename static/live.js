// The transport of a live page: a WebSocket; where that does not get through, Server-Sent Events; else long polling.
// All three go on from one position and are heard by the same rules, so a change of transport loses and doubles nothing.
// What is heard is told as events on `document`, each with the message in `detail`:
// live:entry (with `fresh`: not met before), live:delete, live:viewers, live:playing, and live:state for the connection.

import { newest } from "./place.js";

const HELLO_WITHIN = 15_000;
const STEADY_AFTER = 10_000;
const FAILURES_TO_FALL = 2;
const LONGEST_WAIT = 30;
const OFFLINE_AFTER = 5 * 60_000;
const STALE_AFTER = 60_000; // a phone's connection may die unnoticed while the page is hidden
const CLIMB_SOONEST = 20_000; // a server that was away a moment is no reason to do without WebSockets for long
const CLIMB_LATEST = 5 * 60_000;
const POLL_WAIT = 25;
const POLL_PATIENCE = 35_000;
const RELOAD_GAP = 30_000;

// Why a connection ended, where that was meant; in the words of WebSocket's closing codes.
const RESTARTING = 1012;
const TOO_SLOW = 4008;

// -- the transports -------------------------------------------------------------------------------
// Each opens at the present `address`, gives every message to `hear`, hello first, says with `ended` that it is over,
// and returns what closes it.

const TRANSPORTS = [
  { name: "WebSocket", open: openSocket },
  { name: "Server-Sent Events", open: openEvents },
  { name: "long polling", open: openPolling },
];

function openSocket(address, hear, ended) {
  const url = address("");
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(url);
  socket.onmessage = ({ data }) => hear(JSON.parse(data));
  socket.onclose = ({ code }) => ended(code);
  return () => socket.close();
}

function openEvents(address, hear, ended) {
  const source = new EventSource(address("/events"));
  source.onmessage = ({ data }) => hear(JSON.parse(data));
  source.addEventListener("bye", () => ended(RESTARTING));
  source.onerror = () => ended(); // it would come back by itself, but to the position of this address
  return () => source.close();
}

function openPolling(address, hear, ended) {
  const stop = new AbortController();
  const ask = async (wait) => {
    const asked = Date.now();
    const patience = setTimeout(() => stop.abort(), POLL_PATIENCE);
    const answer = await fetch(address("/poll", wait), { signal: stop.signal, cache: "no-store" });
    if (!answer.ok) throw new Error(answer.status);
    const { seq, reset, changes } = await answer.json();
    clearTimeout(patience);
    if (!wait || reset) hear({ type: "hello", seq, reset });
    changes.forEach(hear);
    if (!changes.length && Date.now() - asked < wait * 500) ended(RESTARTING); // it lets everybody go before its time
  };
  (async () => {
    await ask(0); // answered at once: that it works is known before anything happens
    while (!stop.signal.aborted) await ask(POLL_WAIT);
  })().catch(() => ended());
  return () => stop.abort();
}

// -- the connection -------------------------------------------------------------------------------

const main = document.querySelector("main[data-live-url]");
if (main) follow(main.dataset.liveUrl, Number(main.dataset.position));

function follow(path, position) {
  let step = Math.max(0, TRANSPORTS.findIndex(({ name }) => name === recall("transport")));
  let line = null; // what the page lives by: opening, or open
  let trial = null; // a better one, tried beside it
  let failures = 0; // of this transport, in a row
  let tries = 0; // since the connection was last well
  let climbs = 0;
  let nextTry = 0;
  let nextClimb = 0;
  let asOf = Date.now(); // until then the page is known to be complete
  let hiddenAt = document.hidden ? asOf : 0;
  let away = false;

  // Whether there is a way through is only known by trying: what this machine serves itself is there without a network.
  addEventListener("online", again);
  addEventListener("offline", again);
  // The browser may keep the page as it is: it takes up again where it was.
  addEventListener("pagehide", () => {
    away = true;
    drop();
  });
  addEventListener("pageshow", () => {
    if (!away) return;
    away = false;
    again();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && (!line || Date.now() - hiddenAt > STALE_AFTER)) again();
    hiddenAt = document.hidden ? Date.now() : 0;
  });
  connect();

  function again() {
    tries = failures = climbs = 0;
    if (!away) connect();
  }

  function connect() {
    drop();
    say("connecting");
    line = dial(step);
  }

  function drop() {
    clearTimeout(nextTry);
    clearTimeout(nextClimb);
    if (line?.steadyFrom) asOf = Math.max(asOf, hiddenAt || Date.now());
    const old = [line, trial];
    line = trial = null; // first: what they still say is not heard
    old.forEach(hangUp);
  }

  function dial(which) {
    const mine = { step: which, steadyFrom: 0, close() {} }; // steady, if it lasts, from ten seconds after its hello
    const counts = () => mine === line || mine === trial;
    const ended = (code) => counts() && over(mine, code);
    mine.patience = setTimeout(ended, HELLO_WITHIN);
    try {
      mine.close = TRANSPORTS[which].open(address, (message) => counts() && hear(mine, message), ended);
    } catch {
      setTimeout(ended); // this browser has no such thing, or forbids it
    }
    return mine;
  }

  function hangUp(one) {
    clearTimeout(one?.patience);
    one?.close();
  }

  function address(door, wait) {
    const url = new URL(path, location.href);
    url.pathname += door;
    url.searchParams.set("after", position);
    if (wait !== undefined) url.searchParams.set("wait", wait);
    return url;
  }

  // -- what is heard --

  function hear(mine, message) {
    asOf = Date.now();
    switch (message.type) {
      case "hello":
        return message.reset ? reload() : greet(mine);
      case "entry":
      case "delete":
        return change(message);
      case "viewers":
      case "playing":
        return tell(message.type, message);
    }
  }

  function greet(mine) {
    clearTimeout(mine.patience);
    mine.steadyFrom = Date.now() + STEADY_AFTER;
    if (mine === trial) {
      const old = line;
      mine.from = step;
      step = mine.step;
      line = mine;
      trial = null;
      hangUp(old);
    }
    remember("transport", TRANSPORTS[step].name);
    say("live");
    climbLater();
  }

  function change(message) {
    if (message.seq <= position) return;
    if (message.prev > position) return lost(TOO_SLOW); // something is missing between: ask for it
    const fresh = message.type === "entry" && message.entry.first_seq > position;
    position = message.seq;
    main.dataset.position = position;
    tries = 0;
    tell(message.type, { ...message, fresh });
  }

  // -- what ends --

  function over(mine, code) {
    if (mine === line) return lost(code);
    hangUp(trial);
    trial = null;
    climb(mine.step + 1);
  }

  // Tries again after 1, 2, 4 … 30 seconds, or somewhat less, so that not everybody comes back at the same moment.
  function lost(code) {
    const { steadyFrom, from } = line;
    const steady = steadyFrom && Date.now() > steadyFrom;
    drop();
    if (steady) tries = failures = 0;
    const back = !steady && from; // where it climbed from, things were well
    if (back) step = back;
    else if (!steady && code !== RESTARTING && code !== TOO_SLOW && navigator.onLine) fail();
    let wait = document.hidden ? LONGEST_WAIT : Math.min(LONGEST_WAIT, 2 ** tries);
    wait *= 0.5 + Math.random() / 2;
    if (code === RESTARTING) wait = 1 + 4 * Math.random();
    else if (back || (code === TOO_SLOW && !tries)) wait = 0;
    tries += 1;
    nextTry = setTimeout(connect, wait * 1000);
    say(!navigator.onLine || Date.now() - asOf > OFFLINE_AFTER ? "offline" : "reconnecting", wait);
  }

  // Where nothing at all gets through, that says nothing about WebSockets: from the top again.
  function fail() {
    failures += 1;
    if (failures < FAILURES_TO_FALL) return;
    failures = 0;
    step = (step + 1) % TRANSPORTS.length;
    if (step === 0) remember("transport", TRANSPORTS[step].name);
  }

  // -- back up, while the present connection goes on --

  function climbLater() {
    clearTimeout(nextClimb);
    if (step === 0) return;
    const longest = Math.min(CLIMB_LATEST, CLIMB_SOONEST * 2 ** climbs);
    climbs += 1;
    nextClimb = setTimeout(climb, longest * (0.5 + Math.random() / 2), 0);
  }

  function climb(to) {
    if (to < step) trial = dial(to);
    else climbLater();
  }

  // The server does not know this position. Not over and over, should it not know the next one either.
  function reload() {
    drop();
    const last = Number(recall("reloaded"));
    remember("reloaded", Date.now());
    nextTry = setTimeout(() => location.replace(newest()), Math.max(0, last + RELOAD_GAP - Date.now()));
  }

  function say(state, wait = 0) {
    tell("state", { state, wait, asOf, transport: TRANSPORTS[step].name });
  }
}

function tell(what, detail) {
  document.dispatchEvent(new CustomEvent(`live:${what}`, { detail }));
}

// -- for this tab, if storage is allowed ----------------------------------------------------------

function recall(name) {
  try {
    return sessionStorage.getItem(name);
  } catch {
    return null;
  }
}

function remember(name, value) {
  try {
    sessionStorage.setItem(name, value);
  } catch {
    // then not
  }
}
