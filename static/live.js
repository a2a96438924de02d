// The transport of a live page: one WebSocket that goes on from the position the page was made at.
// What it hears it tells as events on `document`, each with the message in `detail`:
// live:entry (with `fresh`: not met before), live:delete, live:viewers, live:playing, and live:state for the connection.

const HELLO_WITHIN = 15_000;
const STEADY_AFTER = 10_000;
const LONGEST_WAIT = 30;
const OFFLINE_AFTER = 5 * 60_000;
const STALE_AFTER = 60_000; // a phone's connection may die unnoticed while the page is hidden
const RELOAD_GAP = 30_000;

const main = document.querySelector("main[data-live-url]");
if (main) follow(main.dataset.liveUrl, Number(main.dataset.position));

function follow(path, position) {
  let socket = null;
  let timer = 0; // of the next attempt, or of the patience for this one
  let tries = 0;
  let heardAt = Date.now();
  let steadyFrom = Infinity; // when this connection has proved itself
  let hiddenAt = 0;
  let away = false;

  addEventListener("online", again);
  addEventListener("offline", () => socket?.readyState === WebSocket.OPEN || say("offline"));
  // The browser may keep the page as it is: it takes up again where it was.
  addEventListener("pagehide", () => {
    away = true;
    drop();
  });
  addEventListener("pageshow", () => {
    if (away) {
      away = false;
      again();
    }
  });
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") hiddenAt = Date.now();
    else if (!socket || Date.now() - hiddenAt > STALE_AFTER) again();
  });
  connect();

  function again() {
    tries = 0;
    if (!away) connect();
  }

  function connect() {
    drop();
    say("connecting");
    const address = new URL(path, location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    address.searchParams.set("after", position);
    const mine = new WebSocket(address);
    socket = mine;
    mine.onmessage = (event) => mine === socket && hear(JSON.parse(event.data));
    mine.onclose = () => mine === socket && lost();
    timer = setTimeout(lost, HELLO_WITHIN);
  }

  function drop() {
    clearTimeout(timer);
    const old = socket;
    socket = null; // first: what it still says is not heard
    old?.close();
  }

  function hear(message) {
    heardAt = Date.now();
    switch (message.type) {
      case "hello":
        clearTimeout(timer);
        if (message.reset) return reload();
        steadyFrom = heardAt + STEADY_AFTER;
        return say("live");
      case "entry":
      case "delete":
        return change(message);
      case "viewers":
      case "playing":
        return tell(message.type, message);
    }
  }

  function change(message) {
    if (message.seq <= position) return;
    if (message.prev > position) return lost(true); // something is missing between: ask for it
    const fresh = message.type === "entry" && message.entry.first_seq > position;
    position = message.seq;
    main.dataset.position = position;
    tries = 0;
    tell(message.type, { ...message, fresh });
  }

  // Tries again after 1, 2, 4 … 30 seconds, or somewhat less, so that not everybody comes back at the same moment.
  function lost(atOnce = false) {
    drop();
    if (Date.now() > steadyFrom) tries = 0;
    steadyFrom = Infinity;
    const longest = atOnce && !tries ? 0 : Math.min(LONGEST_WAIT, 2 ** tries);
    const wait = longest * (0.5 + Math.random() / 2);
    tries += 1;
    timer = setTimeout(connect, wait * 1000);
    say(!navigator.onLine || Date.now() - heardAt > OFFLINE_AFTER ? "offline" : "reconnecting", wait);
  }

  // The server does not know this position. Not over and over, should it not know the next one either.
  function reload() {
    drop();
    let last = 0;
    try {
      last = Number(sessionStorage.getItem("reloaded"));
      sessionStorage.setItem("reloaded", Date.now());
    } catch {
      // no storage allowed
    }
    timer = setTimeout(() => location.reload(), Math.max(0, last + RELOAD_GAP - Date.now()));
  }

  function say(state, wait = 0) {
    tell("state", { state, wait, heardAt });
  }
}

function tell(what, detail) {
  document.dispatchEvent(new CustomEvent(`live:${what}`, { detail }));
}
