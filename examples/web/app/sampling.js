// Resampling as in deblur_zoo/faces/warp.py, so that the network sees the pixels that it would see in Python.
//
// An image is {data, width, height}: a Float32Array with three channels, or the RGBA bytes of a canvas (ImageData), read as
// they are, since a large picture would take three times the memory in floats.

import { apply, compose, invert, scaleOf } from './geometry.js';

const CHANNELS = 3;
// OpenCV rounds positions to 1/32 of a pixel. Doing the same gives its numbers, and a short table of weights.
const STEPS = 32;
const CUBIC = new Float64Array(4 * STEPS);
for (let step = 0; step < STEPS; step++) {
  const a = -0.75;
  const near = (x) => ((a + 2) * x - (a + 3)) * x * x + 1;
  const far = (x) => ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  const x = step / STEPS;
  CUBIC.set([far(x + 1), near(x), near(1 - x), far(2 - x)], 4 * step);
}

const channelsOf = ({ data, width, height }) => data.length / (width * height);

/** Values to a byte each, rounded. */
export const toByte = (value) => Math.round(255 * Math.min(1, Math.max(0, value)));

const mirrored = (place, size) => {
  if (size === 1) return 0;
  const period = 2 * (size - 1);
  const rest = ((place % period) + period) % period;
  return rest < size ? rest : period - rest;
};
const nearest = (place, size) => Math.min(size - 1, Math.max(0, place));
export const BORDERS = { mirrored, nearest };

/** A function (u, v, into) that writes the three values of an image at a position, by cubic interpolation. */
export function sampler(image, border) {
  const { data, width, height } = image;
  const channels = channelsOf(image);
  const columns = new Int32Array(4);
  const rows = new Int32Array(4);
  return (u, v, into) => {
    const across = Math.round(u * STEPS);
    const down = Math.round(v * STEPS);
    const left = Math.floor(across / STEPS);
    const top = Math.floor(down / STEPS);
    const horizontal = 4 * (across - left * STEPS);
    const vertical = 4 * (down - top * STEPS);
    const inside = left >= 1 && top >= 1 && left + 2 < width && top + 2 < height;
    for (let i = 0; i < 4; i++) {
      columns[i] = channels * (inside ? left - 1 + i : border(left - 1 + i, width));
      rows[i] = channels * width * (inside ? top - 1 + i : border(top - 1 + i, height));
    }
    let red = 0;
    let green = 0;
    let blue = 0;
    for (let j = 0; j < 4; j++) {
      for (let i = 0; i < 4; i++) {
        const place = rows[j] + columns[i];
        const weight = CUBIC[vertical + j] * CUBIC[horizontal + i];
        red += weight * data[place];
        green += weight * data[place + 1];
        blue += weight * data[place + 2];
      }
    }
    into[0] = red;
    into[1] = green;
    into[2] = blue;
  };
}

/** Weights of the inputs that lie under an output of the same line in fewer pixels: OpenCV's INTER_AREA. */
function areaWeights(size, target) {
  const scale = size / target;
  return Array.from({ length: target }, (_, index) => {
    const [low, high] = [index * scale, Math.min(size, (index + 1) * scale)];
    const first = Math.floor(low + 1e-6);
    const weights = [];
    for (let place = first; place < high - 1e-6; place++) {
      weights.push((Math.min(place + 1, high) - Math.max(place, low)) / (high - low));
    }
    return { first, weights };
  });
}

/** Pillow's BICUBIC, whose kernel is widened by the factor of the reduction. */
function bicubicWeights(size, target) {
  const scale = size / target;
  const kernel = (x) => {
    const t = Math.abs(x);
    if (t < 1) return (1.5 * t - 2.5) * t * t + 1;
    return t < 2 ? ((-0.5 * t + 2.5) * t - 4) * t + 2 : 0;
  };
  return Array.from({ length: target }, (_, index) => {
    const centre = (index + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - 2 * scale + 0.5));
    const end = Math.min(size, Math.trunc(centre + 2 * scale + 0.5));
    const weights = Array.from({ length: end - first }, (_, i) => kernel((first + i - centre + 0.5) / scale));
    const sum = weights.reduce((a, b) => a + b);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

/** A Gaussian that keeps the size and mirrors the border, as OpenCV's. */
function gaussianWeights(size, sigma) {
  const reach = (Math.round(8 * sigma + 1) | 1) >> 1;
  const bell = Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-((i - reach) ** 2) / (2 * sigma * sigma)));
  const sum = bell.reduce((a, b) => a + b);
  return Array.from({ length: size }, (_, index) => {
    const weights = new Array(size).fill(0);
    bell.forEach((weight, i) => (weights[mirrored(index - reach + i, size)] += weight / sum));
    return { first: 0, weights };
  });
}

/** Apply weights along rows and columns: lists with one {first, weights} for each output. */
function separable(image, horizontal, vertical) {
  const [width, height] = [horizontal.length, vertical.length];
  const narrow = new Float32Array(CHANNELS * width * image.height);
  alongRows(narrow, image, horizontal);
  const data = new Float32Array(CHANNELS * width * height);
  for (let row = 0; row < height; row++) {
    const { first, weights } = vertical[row];
    weights.forEach((weight, i) => {
      const [to, from] = [CHANNELS * width * row, CHANNELS * width * (first + i)];
      for (let k = 0; k < CHANNELS * width; k++) data[to + k] += weight * narrow[from + k];
    });
  }
  return { data, width, height };
}

function alongRows(into, image, horizontal) {
  const { data, width, height } = image;
  const channels = channelsOf(image);
  for (let row = 0, to = 0; row < height; row++) {
    for (const { first, weights } of horizontal) {
      const from = channels * (row * width + first);
      for (let channel = 0; channel < CHANNELS; channel++) {
        let sum = 0;
        for (let i = 0; i < weights.length; i++) sum += weights[i] * data[from + channels * i + channel];
        into[to++] = sum;
      }
    }
  }
}

const reducedBy = (weights, image, width, height) =>
  separable(image, weights(image.width, width), weights(image.height, height));

/**
 * Resample a picture into a square, mirrored at its borders, without aliasing: `warp` of deblur_zoo.faces, clipped to
 * [0, 1].
 *
 * @param image the bytes of a canvas.
 * @param similarity picture to square, centres.
 */
export function warp(image, similarity, side) {
  // A face so large that the finer grid would be huge is reduced by a whole factor first.
  const factor = Math.floor(1 / scaleOf(similarity) / 2);
  if (factor >= 2) {
    const [width, height] = [image.width, image.height].map((size) => Math.max(1, Math.floor(size / factor)));
    const steps = [image.width / width, image.height / height];
    return resampled(reducedBy(areaWeights, image, width, height), similarity, side, steps);
  }
  return resampled(image, similarity, side, [1, 1]);
}

/** `image` is the picture reduced by `steps` across and down, which may differ a little. */
function resampled(image, similarity, side, steps) {
  const finer = Math.max(1, Math.ceil(1 / (scaleOf(similarity) * steps[0]) - 1e-9));
  const back = compose(invert(similarity), [1 / finer, 0, 0.5 / finer - 0.5, 0.5 / finer - 0.5]);
  const grid = { width: side * finer, height: side * finer, data: new Float32Array(CHANNELS * (side * finer) ** 2) };
  const read = sampler(image, mirrored);
  const values = new Float64Array(CHANNELS);
  for (let row = 0, to = 0; row < grid.height; row++) {
    for (let column = 0; column < grid.width; column++, to += CHANNELS) {
      const [u, v] = apply(back, column, row);
      read((u + 0.5) / steps[0] - 0.5, (v + 0.5) / steps[1] - 0.5, values);
      grid.data.set(values, to);
    }
  }
  const result = finer > 1 ? reducedBy(bicubicWeights, grid, side, side) : grid;
  for (let i = 0; i < result.data.length; i++) result.data[i] = Math.min(1, Math.max(0, result.data[i] / 255));
  return result;
}

/** Smoothed to the resolution of a picture in which it is `finer` times smaller, so that it does not alias there. */
export function smoothed(image, finer) {
  if (finer <= 1.01) return image;
  const sigma = 0.5 * Math.sqrt(finer * finer - 1);
  return separable(image, gaussianWeights(image.width, sigma), gaussianWeights(image.height, sigma));
}
