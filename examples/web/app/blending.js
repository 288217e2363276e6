// What the network changed in a face is added to the picture at the picture's own resolution, under a soft mask:
// deblur_zoo/restoration/blending.py and face_mask.py.

import { apply, scaleOf } from './geometry.js';
import { BORDERS, sampler, smoothed } from './sampling.js';

// Half-axes of the outline |x|^3 + |y|^3 = 1 as shares of the crop's side, and the share of the way in at which the weight
// has risen to 1.
const HALF_WIDTH = 0.49;
const HALF_HEIGHT = 0.5;
const FEATHER = 0.35;

/** Blending weight in [0, 1] at shares of the crop's width and height. */
export function weightAt(x, y) {
  const across = Math.abs(x - 0.5) / HALF_WIDTH;
  const down = Math.abs(y - 0.5) / HALF_HEIGHT;
  const ramp = Math.min(1, Math.max(0, (1 - Math.cbrt(across * across * across + down * down * down)) / FEATHER));
  return ramp * ramp * (3 - 2 * ramp);
}

/** Restored minus blurred, without its mean colour over the face: deblurring moves light, it does not add any. */
export function correction(blurred, restored) {
  const { width: side, data } = blurred;
  const difference = restored.data.map((value, i) => value - data[i]);
  const sums = [0, 0, 0];
  let total = 0;
  for (let row = 0, place = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const weight = weightAt((column + 0.5) / side, (row + 0.5) / side);
      total += weight;
      for (let channel = 0; channel < 3; channel++) sums[channel] += weight * difference[place++];
    }
  }
  return { width: side, height: side, data: difference.map((value, i) => value - sums[i % 3] / total) };
}

/**
 * Add a correction to the pixels of a rectangle of the picture, in place.
 *
 * @param pixels {data, width, height}, RGBA bytes; alpha stays.
 * @param left, top where the rectangle is in the picture.
 * @param similarity picture to crop, centres.
 */
export function addCorrection(pixels, left, top, corrected, similarity) {
  const side = corrected.width;
  const read = sampler(smoothed(corrected, scaleOf(similarity)), BORDERS.nearest);
  const patch = new Float64Array(3);
  const [a, b] = similarity;
  // A large face has millions of pixels: no function calls and no lists that each would need.
  const { data, width, height } = pixels;
  for (let row = 0, place = 0; row < height; row++) {
    const [u0, v0] = apply(similarity, left, top + row);
    for (let column = 0; column < width; column++, place += 4) {
      const u = u0 + a * column;
      const v = v0 + b * column;
      const weight = weightAt((u + 0.5) / side, (v + 0.5) / side);
      if (weight === 0) continue;
      read(u, v, patch);
      for (let channel = 0; channel < 3; channel++) {
        const before = data[place + channel];
        const after = Math.min(255, Math.max(0, before + 255 * patch[channel]));
        data[place + channel] = Math.round(before * (1 - weight) + after * weight);
      }
    }
  }
}
