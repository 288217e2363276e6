// What the network changed in a face is added to the picture at the picture's own resolution, under a soft mask:
// deblur_zoo/restoration/blending.py and face_mask.py.

import { apply, scaleOf } from './geometry.js';
import { BORDERS, sampler, smoothed } from './sampling.js';

// Half-axes of the outline as shares of the crop's side, its exponent, and the share of the way in at which the weight
// has risen to 1.
const [HALF_WIDTH, HALF_HEIGHT, EXPONENT, FEATHER] = [0.49, 0.5, 3, 0.35];

/** Blending weight in [0, 1] at shares of the crop's width and height. */
export function weightAt(x, y) {
  const radius = (Math.abs((x - 0.5) / HALF_WIDTH) ** EXPONENT + Math.abs((y - 0.5) / HALF_HEIGHT) ** EXPONENT) ** (1 / EXPONENT);
  const ramp = Math.min(1, Math.max(0, (1 - radius) / FEATHER));
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
  for (let row = 0, place = 0; row < pixels.height; row++) {
    for (let column = 0; column < pixels.width; column++, place += 4) {
      const [u, v] = apply(similarity, left + column, top + row);
      const weight = weightAt((u + 0.5) / side, (v + 0.5) / side);
      if (weight === 0) continue;
      read(u, v, patch);
      for (let channel = 0; channel < 3; channel++) {
        const before = pixels.data[place + channel];
        const after = Math.min(255, Math.max(0, before + 255 * patch[channel]));
        pixels.data[place + channel] = Math.round(before * (1 - weight) + after * weight);
      }
    }
  }
}
