// A group on an open page: what joins it changes its words in place, and the card stays where it is.
// Which entries a group takes, the server says: cards carry its key and how far apart neighbours may be.

import { element } from "./elements.js";

const MOST_MEMBERS = 100;

// The group on the page that this card belongs to, if there is one.
export function growsInto(stream, card) {
  const { group: key, gap, ordered, day } = card.dataset;
  if (!key) return null;
  const when = Date.parse(ordered);
  return [...stream.querySelectorAll(`section[data-day="${day}"] .group`)].find((group) => {
    if (group.dataset.group !== key || members(group).length >= MOST_MEMBERS) return false;
    const reach = 1000 * gap;
    return when >= Date.parse(group.dataset.since) - reach && when <= Date.parse(group.dataset.ordered) + reach;
  });
}

// Puts an entry into its group, or another version of it in the place of `old`; returns its line.
export function grow(group, card, entry, old = null) {
  const line = lineOf(card, entry);
  const list = group.querySelector(".members");
  if (old) old.replaceWith(line);
  else list.insertBefore(line, members(group).find((one) => one.dataset.ordered <= line.dataset.ordered) ?? null);
  say(group);
  return line;
}

export function shrink(group, line) {
  line.remove();
  if (members(group).length) say(group);
  else group.replaceWith(deleted(group, "These entries were deleted."));
}

// What stands in the place of a card that is gone, as high as it was, until the page is loaded again.
export function deleted(card, words) {
  const gone = element("p", { className: "deleted", id: card.id, textContent: words });
  Object.assign(gone.dataset, { id: card.dataset.id ?? "", ordered: card.dataset.ordered });
  gone.style.minHeight = `${card.offsetHeight}px`;
  return gone;
}

function members(group) {
  return [...group.querySelectorAll(".member")];
}

function lineOf(card, { kind, title, summary, url, data }) {
  const line = element("li", { className: kind === "listen" ? "member u-listen-of h-cite" : "member h-entry", id: card.id });
  const { id, seq, firstSeq, ordered } = card.dataset;
  const commits = card.querySelector("ol.commits");
  const amount = { code: data.commits?.length, photo: card.querySelectorAll("img.u-photo").length }[kind] || 1;
  Object.assign(line.dataset, { id, seq, firstSeq, ordered, count: amount, artist: data.artist ?? "", album: data.album ?? "" });
  const address = element("a", { className: "u-uid", href: `/entries/${id}` });
  address.append(card.querySelector("time.dt-published").cloneNode(true));
  line.append(address, " ");
  if (kind === "code" && commits) {
    line.append(commits);
    return line;
  }
  const textContent = data.track ?? title ?? (summary || "Entry");
  const name = element(url ? "a" : "bdi", { className: "p-name", dir: "auto", textContent });
  if (url) name.href = url;
  line.append(name);
  if (kind === "listen" && data.artist) line.append(" ", element("span", { className: "p-author", textContent: data.artist }));
  return line;
}

// -- what it is, in words -------------------------------------------------------------------------

function say(group) {
  const lines = members(group);
  const [newest, oldest] = [lines[0], lines.at(-1)];
  const [last, first] = [newest, oldest].map((line) => line.querySelector("time"));
  Object.assign(group.dataset, { ordered: newest.dataset.ordered, since: oldest.dataset.ordered });
  group.querySelectorAll(".when time, .meta > time, .num .last").forEach((time) => copy(last, time));
  copy(first, group.querySelector(".num .first"));
  group.querySelector(".when a").href = newest.querySelector("a").href;
  const title = group.querySelector("summary .p-name");
  const more = title.nextElementSibling;
  const amount = lines.reduce((sum, line) => sum + Number(line.dataset.count), 0);
  if (group.dataset.group.startsWith("listen:")) {
    title.textContent = heard(lines);
    more.textContent = whereFrom(lines);
    return;
  }
  title.textContent = title.textContent.replace(/\d[\d,]*/, amount.toLocaleString(document.documentElement.lang));
  more.textContent = group.dataset.group.startsWith("code:")
    ? more.textContent.replace(/\d[\d,]*/, lines.length)
    : titles(lines);
}

function copy(from, time) {
  time.dateTime = from.dateTime;
  time.textContent = from.textContent;
}

function heard(lines) {
  const artists = counted(lines, "artist");
  const others = artists.length - 1;
  const names = artists.length === 2 ? listed(artists.map(([name]) => name)) : artists[0]?.[0];
  const by = names ? ` by ${names}${others > 1 ? ` and ${others} others` : ""}` : "";
  return `${lines.length} tracks${by}`;
}

function whereFrom(lines) {
  const [album, plays] = counted(lines, "album")[0] ?? ["", 0];
  const span = Date.parse(lines[0].dataset.ordered) - Date.parse(lines.at(-1).dataset.ordered);
  const minutes = Math.round(span / 60_000);
  const said = [];
  if (plays * 2 > lines.length) said.push(`Mostly the album ${album}`);
  if (minutes) said.push(`${minutes} ${minutes === 1 ? "minute" : "minutes"}`);
  return said.join(", ");
}

function titles(lines) {
  const names = lines.slice(0, 2).map((line) => line.querySelector(".p-name").textContent.trim());
  const rest = lines.length - names.length;
  return listed(rest > 0 ? [...names, `${rest} more`] : names);
}

function counted(lines, name) {
  const counts = new Map();
  for (const { dataset } of lines) if (dataset[name]) counts.set(dataset[name], (counts.get(dataset[name]) ?? 0) + 1);
  return [...counts].sort(([, one], [, other]) => other - one);
}

function listed(words) {
  return new Intl.ListFormat(document.documentElement.lang).format(words);
}
