// Moving, enlarging and turning the picture under the outline: fingers, mouse, wheel and keyboard.

import { about, compose, CROP, fromPairs, invert } from './geometry.js';
import { cropToView } from './view.js';

const MIDDLE = CROP / 2;
// Of the crop's side, factors and radians a key press; arrows with Shift move a quarter.
const [STEP, ENLARGEMENT, TURN] = [0.02 * CROP, 1.04, Math.PI / 90];
const KEYS = {
  ArrowLeft: (share) => [1, 0, -STEP * share, 0],
  ArrowRight: (share) => [1, 0, STEP * share, 0],
  ArrowUp: (share) => [1, 0, 0, -STEP * share],
  ArrowDown: (share) => [1, 0, 0, STEP * share],
  '+': (share) => about(MIDDLE, MIDDLE, ENLARGEMENT ** share, 0),
  '=': (share) => about(MIDDLE, MIDDLE, ENLARGEMENT ** share, 0),
  '-': (share) => about(MIDDLE, MIDDLE, ENLARGEMENT ** -share, 0),
  ',': (share) => about(MIDDLE, MIDDLE, 1, -TURN * share),
  '.': (share) => about(MIDDLE, MIDDLE, 1, TURN * share),
};

/**
 * Call `move` with what a gesture does to the crop, a similarity in the crop's canvas coordinates.
 *
 * @param canvas the square canvas of view.js.
 */
export function listen(canvas, move) {
  const fingers = new Map();
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const onScreen = (similarity) => {
    const view = cropToView(canvas.clientWidth);
    move(compose(invert(view), compose(similarity, view)));
  };
  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, place(event));
  });
  canvas.addEventListener('pointermove', (event) => {
    if (!fingers.has(event.pointerId)) return;
    const before = [...fingers.values()];
    fingers.set(event.pointerId, place(event));
    const after = [...fingers.values()];
    if (after.length === 1) onScreen([1, 0, after[0][0] - before[0][0], after[0][1] - before[0][1]]);
    else onScreen(fromPairs(before[0], after[0], before[1], after[1]));
  });
  for (const name of ['pointerup', 'pointercancel']) {
    canvas.addEventListener(name, (event) => fingers.delete(event.pointerId));
  }
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    const amount = -(event.deltaY || event.deltaX) * (event.deltaMode === 1 ? 16 : 1) / 500;
    const [x, y] = place(event);
    onScreen(event.shiftKey ? about(x, y, 1, amount) : about(x, y, Math.exp(amount), 0));
  }, { passive: false });
  canvas.addEventListener('keydown', (event) => {
    const key = KEYS[event.key];
    if (!key || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    move(key(event.shiftKey && event.key.startsWith('Arrow') ? 0.25 : 1));
  });
}
