// Older entries come by themselves before the reader gets to the end, a few pages of them; then the link is a link again,
// so that what is below can be reached. The address goes along: it is that of the page that is being read.

const AHEAD = "800px";
const PAGES = 5;
const SKELETON_AFTER = 400;

const stream = document.getElementById("stream");
const marks = []; // the first section or card of each page that was put here, with that page's address
let loaded = 0;
let loading = false;

const near = new IntersectionObserver(
  (found) => {
    if (found.some((one) => one.isIntersecting)) load();
  },
  { rootMargin: `0px 0px ${AHEAD} 0px` },
);
if (stream && link()) {
  marks.push({ at: stream, address: location.pathname + location.search });
  near.observe(link().parentNode);
  addEventListener("scrollend", keepAddress, { passive: true });
}

function link() {
  return document.querySelector(".older a[rel=next]");
}

async function load() {
  const older = link();
  if (!older?.href.includes("before=") || loading || loaded >= PAGES) return;
  loading = true;
  const slow = setTimeout(() => older.parentNode.classList.add("loading"), SKELETON_AFTER);
  try {
    const answer = await fetch(older.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(`${answer.status}`);
    append(new DOMParser().parseFromString(await answer.text(), "text/html"), older);
    loaded += 1;
  } catch {
    near.disconnect(); // the link is still there
  } finally {
    clearTimeout(slow);
    document.querySelector(".older")?.classList.remove("loading");
    loading = false;
  }
  if (loaded >= PAGES) near.disconnect();
  else if (link()) near.observe(link().parentNode);
}

function append(page, older) {
  const address = older.getAttribute("href");
  let first = null;
  for (const day of page.querySelectorAll("#stream > section[data-day]")) {
    const cards = [...day.querySelectorAll(".list > *")].filter((one) => !document.getElementById(one.id));
    const there = stream.querySelector(`section[data-day="${day.dataset.day}"]`);
    if (there) there.querySelector(".list").append(...cards);
    else stream.append(day);
    first ??= there ? cards[0] : day;
  }
  if (first) marks.push({ at: first, address });
  const next = page.querySelector(".older");
  if (next) older.parentNode.replaceWith(next);
  else older.parentNode.remove();
  document.dispatchEvent(new CustomEvent("stream:more"));
}

function keepAddress() {
  const passed = marks.filter(({ at }) => at.isConnected && at.getBoundingClientRect().top < innerHeight / 2);
  const address = passed.at(-1)?.address ?? marks[0].address;
  if (address !== location.pathname + location.search) history.replaceState(history.state, "", address);
}
