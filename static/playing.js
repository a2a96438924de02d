// What plays just now: the server says so on every live stream, and says null when it is over.

const place = document.getElementById("playing");

if (place) {
  const [title, artist] = place.querySelectorAll("bdi");
  let over = 0;
  // Long polling tells nothing of it: what the page came with is over when it ends.
  const { until } = place.dataset;
  if (until) over = setTimeout(hide, Math.max(0, new Date(until) - Date.now()));

  document.addEventListener("live:playing", ({ detail: { track } }) => {
    clearTimeout(over);
    if (!track) return hide();
    title.textContent = track.track;
    artist.textContent = track.artist;
    place.title = track.album ?? "";
    place.hidden = false;
  });

  function hide() {
    place.hidden = true;
  }
}
