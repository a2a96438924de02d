// An entry is shown before its pictures are here: those that are not are asked for again, a few times.

const AGAIN_AFTER = [2_000, 5_000, 15_000, 60_000];

const tries = new WeakMap();

document.addEventListener("error", ({ target }) => missing(target), true);
for (const picture of document.images) if (picture.complete && !picture.naturalWidth) missing(picture);

function missing(picture) {
  if (!picture.getAttribute?.("src")?.startsWith("/media/")) return;
  const tried = tries.get(picture) ?? 0;
  tries.set(picture, tried + 1);
  if (tried < AGAIN_AFTER.length) setTimeout(ask, AGAIN_AFTER[tried], picture);
}

function ask(picture) {
  const { srcset } = picture;
  picture.srcset = "";
  picture.src = picture.getAttribute("src");
  picture.srcset = srcset;
}
