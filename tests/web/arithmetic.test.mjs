// Run by test_arithmetic.py, which writes Python's numbers into the file that EXPECTED names.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import * as blending from '../../examples/web/app/blending.js';
import * as geometry from '../../examples/web/app/geometry.js';
import * as sampling from '../../examples/web/app/sampling.js';

const expected = JSON.parse(readFileSync(process.env.EXPECTED, 'utf8'));

function near(found, wanted, tolerance, mean = tolerance) {
  assert.equal(found.length, wanted.length);
  let sum = 0;
  found.forEach((value, i) => {
    const difference = Math.abs(value - wanted[i]);
    if (!(difference <= tolerance)) assert.fail(`${i}: ${value}, not ${wanted[i]}`);
    sum += difference;
  });
  assert.ok(sum / found.length <= mean, `a mean difference of ${sum / found.length}`);
}

const bytes = ({ data, width, height }) => ({
  width,
  height,
  data: Uint8ClampedArray.from({ length: 4 * width * height }, (_, i) => (i % 4 === 3 ? 255 : data[3 * (i >> 2) + (i % 4)])),
});

test('the canonical points are those of the library', () => {
  assert.equal(geometry.CROP, expected.crop);
  near(geometry.POINTS.flat(), expected.points.flat(), 0);
});

for (const [i, { name, photo, matrix, crop, around, bounds, inside, blended }] of expected.cases.entries()) {
  const similarity = [matrix[0][0], matrix[1][0], matrix[0][2], matrix[1][2]];

  test(`${name}: rectangles`, () => {
    near(geometry.cropBounds(similarity, 128, photo.width, photo.height), bounds, 0);
    near(geometry.cropBounds(similarity, 128, photo.width, photo.height, 32), around, 0);
  });

  test(`${name}: the crop`, () => {
    const found = sampling.warp(bytes(photo), similarity, 128);
    // Where OpenCV's integers round to the next 1/32 of a pixel, about a level; rarely, so the mean is far below.
    near(found.data, crop, 1.5 / 255, 0.02 / 255);
  });

  test(`${name}: the blended picture`, () => {
    const face = (values) => ({ width: 128, height: 128, data: Float32Array.from(values) });
    const corrected = blending.correction(face(crop), face(crop.map((value, k) => value + expected.residual[k])));
    const [left, top, right, bottom] = bounds;
    const whole = bytes(photo);
    const region = { width: right - left, height: bottom - top, data: new Uint8ClampedArray(4 * (right - left) * (bottom - top)) };
    for (let row = top; row < bottom; row++) {
      const from = 4 * (row * photo.width + left);
      region.data.set(whole.data.subarray(from, from + 4 * region.width), 4 * (row - top) * region.width);
    }
    blending.addCorrection(region, left, top, corrected, similarity);
    // Likewise, and rounded to a whole level.
    near(region.data.filter((_, k) => k % 4 < 3), blended, 2, 0.02);
    assert.ok(region.data.some((value, k) => k % 4 < 3 && Math.abs(value - inside[3 * (k >> 2) + (k % 4)]) > 8), `${i}`);
  });
}

test('weights of the mask', () => near(expected.mask.map(([x, y]) => blending.weightAt(x, y)), expected.mask.map((m) => m[2]), 1e-6));

test('similarities', () => {
  const turned = geometry.about(3, 4, 2, Math.PI / 2);
  near(geometry.apply(turned, 3, 4), [3, 4], 1e-12);
  near(geometry.apply(turned, 4, 4), [3, 6], 1e-12);
  near(geometry.compose(turned, geometry.invert(turned)), [1, 0, 0, 0], 1e-12);
  near(geometry.fromPairs([0, 0], [5, 5], [1, 0], [5, 7]), [0, 2, 5, 5], 1e-12);
  near(geometry.toCentres(geometry.fitted(128, 128)), [1, 0, 0, 0], 1e-12);
  // A picture of 300 x 200: its middle 200 x 200; the first pixel centre of the crop lies at 0.5 * 200 / 128 of them.
  near(geometry.apply(geometry.fitted(300, 200), 150, 100), [64, 64], 1e-12);
  near(geometry.apply(geometry.invert(geometry.toCentres(geometry.fitted(300, 200))), 0, 0), [50.28125, 0.28125], 1e-12);
});

test('a face stays in the picture and is neither tiny nor far away', () => {
  const far = geometry.constrained([1, 0, -1000, 64], 300, 200);
  near(geometry.apply(far, 300, 0), [64, 64], 1e-9);
  for (const scale of [1e-3, 1, 1e3]) {
    const kept = geometry.constrained([0, scale, 10, 20], 300, 200);
    const [smallest, largest] = geometry.scaleLimits(300, 200);
    assert.ok(geometry.scaleOf(kept) >= smallest - 1e-9 && geometry.scaleOf(kept) <= largest + 1e-9);
    near([geometry.angleOf(kept)], [Math.PI / 2], 1e-9);
  }
});
