// What is being read stays where it is on the screen, whatever a change does above it.
// Browsers have scroll anchoring, but not all of them; so it is off (style.css), and this is the only one who scrolls.

// They scroll by whole pixels; the rest is owed to the next time, or a hundred arrivals would add up.
let owed = 0;
let keptAt = -1;

export function keepingPlace(stream, change) {
  const bar = document.querySelector(".top")?.offsetHeight ?? 0;
  const read = [...stream.querySelectorAll("[data-ordered]")].find((one) => one.getBoundingClientRect().bottom > bar);
  const anchor = read ?? document.querySelector("footer");
  const top = anchor.getBoundingClientRect().top;
  const { id } = anchor;
  change();
  const there = anchor.isConnected ? anchor : document.getElementById(id);
  if (!there) return;
  const wanted = top + (scrollY === keptAt ? owed : 0);
  scrollBy({ top: there.getBoundingClientRect().top - wanted, behavior: "instant" });
  owed = wanted - there.getBoundingClientRect().top;
  keptAt = scrollY;
}

// The address of this page's newest entries: older.js lets it name older ones.
export function newest() {
  const address = new URL(location.href);
  address.searchParams.delete("before");
  return address.pathname + address.search;
}
