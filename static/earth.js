// The earth as view/globe.py draws it, from above any place, as often as the globe turns: paths of SVG around 0,0. What
// lies behind the horizon is cut off.

const RADIUS = 1000;
const FINEST = 3; // points that are nearer to each other are one
const GRID = 15;
const GRID_STEP = 6;
const LINES = [...gridLines()];

// The coasts of vendor/land.json: a ring is a longitude, a latitude, and then the steps from point to point.
export function coastsOf({ unit, rings }) {
  return rings.map((steps) => coastOf(steps, unit));
}

// What is seen from above a place.
export function above(lat, lon) {
  const turned = turning(lat, lon);
  return {
    land: (coasts) => coasts.map((coast) => outline(coast.map(turned))).join(""),
    grid: () => LINES.flatMap((line) => runsOf(line.map(turned)).map((run) => path(run))).join(""),
    point(toLat, toLon) {
      const point = turned(vector(toLat, toLon));
      return { at: pair(point), isSeen: point[2] > 0 };
    },
  };
}

// -- places, as vectors ---------------------------------------------------------------------------

function vector(lat, lon) {
  const [up, round] = [(lat * Math.PI) / 180, (lon * Math.PI) / 180];
  return [Math.cos(up) * Math.cos(round), Math.cos(up) * Math.sin(round), Math.sin(up)];
}

function coastOf(steps, unit) {
  const points = [];
  for (let at = 0, lon = 0, lat = 0; at < steps.length; at += 2) {
    lon += steps[at];
    lat += steps[at + 1];
    points.push(vector(lat * unit, lon * unit));
  }
  return points;
}

function* gridLines() {
  const range = (from, to, step) => Array.from({ length: (to - from) / step + 1 }, (_, at) => from + at * step);
  for (const lon of range(-180, 180 - GRID, GRID)) yield range(-90, 90, GRID_STEP).map((lat) => vector(lat, lon));
  for (const lat of range(GRID - 90, 90 - GRID, GRID)) yield range(-180, 180, GRID_STEP).map((lon) => vector(lat, lon));
}

// Right, down, and towards who looks.
function turning(lat, lon) {
  const [up, round] = [(lat * Math.PI) / 180, (lon * Math.PI) / 180];
  const [sin, cos, sinUp, cosUp] = [Math.sin(round), Math.cos(round), Math.sin(up), Math.cos(up)];
  return ([x, y, z]) => {
    const out = x * cos + y * sin;
    return [y * cos - x * sin, sinUp * out - cosUp * z, cosUp * out + sinUp * z];
  };
}

// -- cutting off ----------------------------------------------------------------------------------

function outline(points) {
  const outside = points.findIndex(([, , z]) => z <= 0);
  if (outside < 0) return `${path(points)}Z`;
  if (!points.some(([, , z]) => z > 0)) return "";
  return joined(runsOf([...points.slice(outside), ...points.slice(0, outside + 1)]));
}

// The pieces of a line that are seen, each from where it comes over the horizon to where it goes.
function runsOf(points) {
  const runs = [];
  let run = points[0][2] > 0 ? [points[0]] : null;
  for (let at = 1; at < points.length; at += 1) {
    const [here, there] = [points[at - 1], points[at]];
    if (here[2] > 0 && there[2] > 0) run.push(there);
    else if (here[2] > 0) {
      runs.push([...run, horizon(here, there)]);
      run = null;
    } else if (there[2] > 0) run = [horizon(here, there), there];
  }
  return run ? [...runs, run] : runs;
}

function horizon([ax, ay, az], [bx, by, bz]) {
  const share = az / (az - bz);
  const [x, y] = [ax + share * (bx - ax), ay + share * (by - ay)];
  const far = Math.hypot(x, y) || 1;
  return [x / far, y / far, 0];
}

// What a coast encloses lies to its right: where it goes over the horizon, on clockwise to where it comes back.
function joined(runs) {
  const waiting = [...runs];
  let drawn = "";
  while (waiting.length) {
    const first = waiting.pop();
    let run = first;
    drawn += path(run);
    for (;;) {
      const end = run.at(-1);
      const next = nextClockwise(end, [first, ...waiting]);
      const long = clockwise(end, next[0]) > Math.PI ? 1 : 0;
      drawn += `A${RADIUS},${RADIUS},0,${long},1,${pair(next[0])}`;
      if (next === first) break;
      waiting.splice(waiting.indexOf(next), 1);
      drawn += path(next.slice(1), "L");
      run = next;
    }
    drawn += "Z";
  }
  return drawn;
}

function nextClockwise(end, runs) {
  return runs.reduce((best, run) => (clockwise(end, run[0]) < clockwise(end, best[0]) ? run : best));
}

function clockwise(from, to) {
  const turn = (Math.atan2(to[1], to[0]) - Math.atan2(from[1], from[0]) + 2 * Math.PI) % (2 * Math.PI);
  return turn > 2 * Math.PI - 1e-9 ? 0 : turn;
}

// Both ends, and between them what is far enough from the one before.
function path(points, first = "M") {
  const drawn = points.map(([x, y]) => [Math.round(x * RADIUS), Math.round(y * RADIUS)]);
  let [lastX, lastY] = drawn[0];
  const kept = drawn.filter(([x, y], at) => {
    if (at && at < drawn.length - 1 && Math.abs(x - lastX) + Math.abs(y - lastY) < FINEST) return false;
    [lastX, lastY] = [x, y];
    return true;
  });
  return first + kept.join("L");
}

function pair([x, y]) {
  return `${Math.round(x * RADIUS)},${Math.round(y * RADIUS)}`;
}
