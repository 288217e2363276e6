// Similarities of the plane as [a, b, x, y]: (u, v) goes to (a u - b v + x, b u + a v + y).
//
// Two conventions: pixels whose centres have whole coordinates, as in deblur_zoo.faces.warp, and canvas coordinates, where
// a pixel reaches from one whole number to the next. `toCentres` leads from the second to the first.

export const CROP = 128;
// The canonical alignment (deblur_zoo/faces/alignment.py): eyes, nose tip, corners of the mouth, as shares of the crop.
export const POINTS = [[0.345, 0.335], [0.655, 0.335], [0.5, 0.55], [0.375, 0.65], [0.625, 0.65]];

export const apply = ([a, b, x, y], u, v) => [a * u - b * v + x, b * u + a * v + y];

/** First `inner`, then `outer`. */
export function compose([a, b, x, y], inner) {
  const [c, d] = inner;
  return [a * c - b * d, a * d + b * c, ...apply([a, b, x, y], inner[2], inner[3])];
}

export function invert([a, b, x, y]) {
  const square = a * a + b * b;
  const [c, d] = [a / square, -b / square];
  return [c, d, ...apply([c, d, 0, 0], -x, -y)];
}

export const scaleOf = ([a, b]) => Math.hypot(a, b);

/** Radians; positive is clockwise as pictures are seen. */
export const angleOf = ([a, b]) => Math.atan2(b, a);

/** Enlarge by `factor` and turn by `angle` (radians) about a point. */
export function about(u, v, factor, angle) {
  const [a, b] = [factor * Math.cos(angle), factor * Math.sin(angle)];
  return [a, b, ...apply([a, b, u, v], -u, -v)];
}

/** The similarity that takes points p to q and r to s. */
export function fromPairs(p, q, r, s) {
  const [du, dv, dx, dy] = [r[0] - p[0], r[1] - p[1], s[0] - q[0], s[1] - q[1]];
  const square = du * du + dv * dv;
  if (square === 0) return [1, 0, q[0] - p[0], q[1] - p[1]];
  const [a, b] = [(dx * du + dy * dv) / square, (dy * du - dx * dv) / square];
  return [a, b, ...apply([a, b, q[0], q[1]], -p[0], -p[1])];
}

/** Picture to crop, canvas coordinates: the largest square in the middle of the picture. */
export function fitted(width, height) {
  const scale = CROP / Math.min(width, height);
  return [scale, 0, (CROP - scale * width) / 2, (CROP - scale * height) / 2];
}

export const toCentres = (similarity) => compose([1, 0, -0.5, -0.5], compose(similarity, [1, 0, 0.5, 0.5]));

/** The nearest placement (picture to crop, canvas coordinates) whose face is neither tiny nor outside the picture. */
export function constrained(placement, width, height) {
  const [smallest, largest] = scaleLimits(width, height);
  const scale = scaleOf(placement);
  const middle = CROP / 2;
  const kept = compose(about(middle, middle, Math.min(largest, Math.max(smallest, scale)) / scale, 0), placement);
  const [u, v] = apply(invert(kept), middle, middle);
  const moved = apply(kept, Math.min(width, Math.max(0, u)), Math.min(height, Math.max(0, v)));
  return [kept[0], kept[1], kept[2] + middle - moved[0], kept[3] + middle - moved[1]];
}

/** Smallest and largest scale of a placement: from half the fitted one to a face of 24 pixels. */
export function scaleLimits(width, height) {
  const fit = CROP / Math.min(width, height);
  return [fit / 2, Math.max(CROP / 24, 2 * fit)];
}

/**
 * The rectangle of picture pixels that a crop touches, as [left, top, right, bottom]; right and bottom are exclusive.
 *
 * @param similarity picture to crop, centres.
 * @param around pixels of the crop by which its square is enlarged on every side.
 */
export function cropBounds(similarity, side, width, height, around = 0) {
  const [low, high] = [-0.5 - around, side - 0.5 + around];
  const back = invert(similarity);
  const corners = [[low, low], [high, low], [low, high], [high, high]].map(([u, v]) => apply(back, u, v));
  const within = (value, limit) => Math.min(limit, Math.max(0, value));
  const across = corners.map(([u]) => u);
  const down = corners.map(([, v]) => v);
  return [
    within(Math.floor(Math.min(...across)), width),
    within(Math.floor(Math.min(...down)), height),
    within(Math.ceil(Math.max(...across)) + 1, width),
    within(Math.ceil(Math.max(...down)) + 1, height),
  ];
}
