// Drawing a picture with the canonical crop in the middle of a square canvas, and the outline of a face on top.

import { compose, CROP, POINTS } from './geometry.js';

// The crop's side as a share of the canvas.
const SHARE = 0.72;

/** Crop to canvas, for a canvas of `side`. */
export function cropToView(side) {
  const margin = side * (1 - SHARE) / 2;
  return [side * SHARE / CROP, 0, margin, margin];
}

/** Give a canvas as many pixels as it covers on the screen; returns its side. */
export function fitToScreen(canvas) {
  const side = Math.max(1, Math.round(canvas.clientWidth * devicePixelRatio));
  if (canvas.width !== side) canvas.width = canvas.height = side;
  return side;
}

/** Draw a picture, and over it what was restored: {canvas, left, top}. */
export function drawPicture(canvas, picture, placement, restored = null) {
  const side = fitToScreen(canvas);
  const context = canvas.getContext('2d');
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, side, side);
  const [a, b, x, y] = compose(cropToView(side), placement);
  context.setTransform(a, b, -b, a, x, y);
  context.imageSmoothingQuality = 'high';
  context.drawImage(picture.preview, 0, 0, picture.width, picture.height);
  if (restored) context.drawImage(restored.canvas, restored.left, restored.top);
}

/** Draw the outline: the crop's square, a head, eyes, nose and mouth where the network expects them. */
export function drawOutline(canvas) {
  const side = canvas.width;
  const context = canvas.getContext('2d');
  const [scale, , margin] = cropToView(side);
  const size = scale * CROP;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = 'rgb(0 0 0 / 45%)';
  const shade = new Path2D();
  shade.rect(0, 0, side, side);
  shade.rect(margin, margin, size, size);
  context.fill(shade, 'evenodd');
  context.setTransform(size, 0, 0, size, margin, margin);
  const [leftEye, rightEye, nose, leftMouth, rightMouth] = POINTS;
  const outline = new Path2D();
  outline.rect(0, 0, 1, 1);
  outline.moveTo(0.85, 0.47);
  outline.ellipse(0.5, 0.47, 0.35, 0.45, 0, 0, 2 * Math.PI);
  for (const [x, y] of [leftEye, rightEye]) {
    outline.moveTo(x + 0.07, y);
    outline.ellipse(x, y, 0.07, 0.035, 0, 0, 2 * Math.PI);
    outline.moveTo(x + 0.012, y);
    outline.arc(x, y, 0.012, 0, 2 * Math.PI);
  }
  outline.moveTo(nose[0] - 0.06, nose[1] - 0.01);
  outline.quadraticCurveTo(nose[0], nose[1] + 0.05, nose[0] + 0.06, nose[1] - 0.01);
  outline.moveTo(...leftMouth);
  outline.quadraticCurveTo(0.5, leftMouth[1] + 0.06, ...rightMouth);
  const pixel = devicePixelRatio / size;
  for (const [style, width] of [['rgb(0 0 0 / 55%)', 4], ['white', 1.75]]) {
    context.strokeStyle = style;
    context.lineWidth = width * pixel;
    context.stroke(outline);
  }
}
