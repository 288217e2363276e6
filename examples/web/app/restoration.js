// A face of a picture through the network and back.

import { addCorrection, correction } from './blending.js';
import { CROP, cropBounds, toCentres } from './geometry.js';
import { toByte, warp } from './sampling.js';

/**
 * Restore the face that a placement shows.
 *
 * @param picture as `open` in picture.js gives it; not changed.
 * @param placement picture to crop, canvas coordinates.
 * @param network as `load` in network.js gives it.
 * @returns {face, region, left, top, milliseconds}: the restored crop and the changed rectangle of the picture, ImageData.
 */
export async function restoreFace(picture, placement, network) {
  const context = picture.canvas.getContext('2d');
  const similarity = toCentres(placement);
  const read = (around) => {
    const [left, top, right, bottom] = cropBounds(similarity, CROP, picture.width, picture.height, around);
    return [context.getImageData(left, top, right - left, bottom - top), left, top];
  };
  const [a, b, x, y] = similarity;
  const [surroundings, west, north] = read(CROP / 4);
  const blurred = warp(surroundings, [a, b, x + a * west - b * north, y + b * west + a * north], CROP);
  const { image: restored, milliseconds } = await network.restore(blurred);
  const [region, left, top] = read(0);
  addCorrection(region, left, top, correction(blurred, restored), similarity);
  return { face: toImageData(restored), region, left, top, milliseconds };
}

/** A canvas with the whole picture and the restored face in it. */
export function pasted(picture, { region, left, top }) {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [picture.width, picture.height];
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.drawImage(picture.canvas, 0, 0);
  context.putImageData(region, left, top);
  return canvas;
}

export function canvasOf(pixels) {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [pixels.width, pixels.height];
  canvas.getContext('2d').putImageData(pixels, 0, 0);
  return canvas;
}

function toImageData({ data, width, height }) {
  const bytes = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let from = 0, to = 0; from < data.length; from++) {
    bytes[to++] = toByte(data[from]);
    if (to % 4 === 3) to++;
  }
  return new ImageData(bytes, width, height);
}
