// Puts new exchanges on top of the log while it is looked at. Without it there is a link to load the page again.

const EVERY = 2000;
const MOST = 200;
const log = document.getElementById("log");
const pause = document.getElementById("pause");
let paused = false;

async function look() {
  if (paused || document.hidden) return;
  const answer = await fetch(log.dataset.newest, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) throw new Error(`answered ${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const lists = [...page.querySelectorAll("#log > .ev")].reverse();
  if (lists.length) log.querySelector(":scope > .hint")?.remove();
  for (const list of lists) {
    const fresh = [...list.children].filter((row) => !document.getElementById(row.id)).reverse();
    if (fresh.length) for (const row of fresh) dayOf(list).prepend(document.importNode(row, true));
  }
  for (const row of [...log.querySelectorAll(".ev > li")].slice(MOST)) if (!row.firstElementChild.open) row.remove();
}

// The list of that day here, made with its heading where there is none.
function dayOf(list) {
  const here = log.querySelector(`:scope > .ev[data-day="${list.dataset.day}"]`);
  if (here) return here;
  const made = document.importNode(list, false);
  log.prepend(document.importNode(list.previousElementSibling, true), made);
  return made;
}

async function watch() {
  await look().catch(() => {});
  setTimeout(watch, EVERY);
}

if (log?.dataset.newest) {
  if (pause) {
    pause.hidden = false;
    pause.addEventListener("click", () => {
      paused = !paused;
      pause.setAttribute("aria-pressed", String(paused));
    });
  }
  setTimeout(watch, EVERY);
}
