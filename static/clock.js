// Times are the owner's. A visitor who lives by another clock can have his own; the choice is kept in a cookie.

const COOKIE = "clock";
const YEAR = 365 * 24 * 3600;

const owners = document.querySelector("main[data-zone]")?.dataset.zone;
const mine = Intl.DateTimeFormat().resolvedOptions().timeZone;
const foot = document.querySelector(".foot p");
let shownMine = document.cookie.split("; ").includes(`${COOKIE}=mine`);
let button = null;

if (owners && foot && offset(owners) !== offset(mine)) {
  button = document.createElement("button");
  button.type = "button";
  button.className = "plain";
  button.addEventListener("click", () => {
    shownMine = !shownMine;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `${COOKIE}=${shownMine ? "mine" : ""}; Path=/; Max-Age=${shownMine ? YEAR : 0}; SameSite=Lax${secure}`;
    show(document);
  });
  foot.append(" ", button);
  for (const what of ["stream:put", "stream:changed"]) document.addEventListener(what, ({ detail }) => show(detail.card));
  document.addEventListener("stream:more", () => show(document));
  show(document);
}

function show(part) {
  button.textContent = shownMine ? "Show theirs" : "Show mine";
  for (const time of part.querySelectorAll("#stream time[datetime*=T], article.h-entry time[datetime*=T]")) {
    const theirs = time.dateTime.slice(11, 16); // it is written with the owner's offset
    if (time.textContent !== theirs && !time.dataset.mine) continue; // other words than a time of day
    time.textContent = shownMine ? ours(time.dateTime) : theirs;
    if (shownMine) time.dataset.mine = "true";
    else delete time.dataset.mine;
  }
}

// With the date where it is another one.
function ours(moment) {
  const when = new Date(moment);
  const clock = new Intl.DateTimeFormat(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const day = new Intl.DateTimeFormat(document.documentElement.lang, { day: "numeric", month: "short" });
  const same = new Intl.DateTimeFormat("sv", { timeZone: mine }).format(when) === moment.slice(0, 10);
  return same ? clock.format(when) : `${day.format(when)} ${clock.format(when)}`;
}

function offset(zone) {
  const form = { timeZone: zone, timeZoneName: "longOffset" };
  return new Intl.DateTimeFormat("en", form).formatToParts(new Date()).find(({ type }) => type === "timeZoneName")?.value;
}
