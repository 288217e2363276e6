// The page: a picture in, its face onto the outline, through the network, and out.

import { about, angleOf, compose, constrained, CROP, fitted, scaleLimits, scaleOf } from './geometry.js';
import { listen } from './gestures.js';
import { load } from './network.js';
import { prepare } from './offline.js';
import { open, PictureError, save, withPreview } from './picture.js';
import { canvasOf, pasted, restoreFace } from './restoration.js';
import { drawOutline, drawPicture } from './view.js';

const at = (id) => document.getElementById(id);
const say = (text) => (at('status').textContent = text);
const complain = (text) => {
  at('alert').textContent = text;
  at('alert').hidden = !text;
};
const MIDDLE = CROP / 2;

let picture = null;
let placement = null; // Picture to crop, canvas coordinates.
let result = null; // {picture, placement, face, region, left, top, canvas}
let build = null;
let network = null; // A promise.

async function start() {
  if (typeof WebAssembly !== 'object') {
    complain('This browser has no WebAssembly, which the network needs: update it, or use another.');
    return;
  }
  const offline = await prepare();
  try {
    build = await (await fetch('build.json')).json();
    at('preset').textContent = build.preset;
    network = load(build);
    await network;
    say(offline ? 'Ready, with or without a connection.' : 'Ready.');
    // Until that is known, the processor restores.
    network = Promise.resolve(await (await network).faster());
  } catch (error) {
    console.error(error);
    say('');
    complain(`The network could not be loaded (${error.message}): check the connection and load this page again, or try another browser.`);
  }
}

/** Run a task of the user's; what goes wrong is one sentence. */
async function attempt(task) {
  complain('');
  try {
    await task();
  } catch (error) {
    if (!(error instanceof PictureError)) console.error(error);
    complain(error instanceof PictureError ? error.message : `This did not work: ${error.message}`);
  }
}

async function choose(file, place = null) {
  if (!file) return;
  const opened = await open(file);
  show(opened, place);
  if (opened.note) complain(opened.note);
}

function show(opened, place = null) {
  picture = opened;
  result = null;
  at('result').hidden = true;
  at('work').hidden = false;
  const [smallest, largest] = scaleLimits(picture.width, picture.height);
  at('zoom').min = Math.log2(smallest);
  at('zoom').max = Math.log2(largest);
  placeFace(place ?? fitted(picture.width, picture.height));
}

function placeFace(wanted) {
  placement = constrained(wanted, picture.width, picture.height);
  const [zoom, turn] = [at('zoom'), at('turn')];
  zoom.value = Math.log2(scaleOf(placement));
  zoom.setAttribute('aria-valuetext', `The outline spans ${Math.round(CROP / scaleOf(placement))} pixels of the picture`);
  turn.value = angleOf(placement) * 180 / Math.PI;
  turn.setAttribute('aria-valuetext', `${turn.value} degrees`);
  requestAnimationFrame(draw);
}

const change = (similarity) => placeFace(compose(similarity, placement));

function draw() {
  if (picture) {
    drawPicture(at('stage'), picture, placement);
    drawOutline(at('stage'));
  }
  if (result) {
    drawPicture(at('before'), result.picture, result.placement);
    drawPicture(at('after'), result.picture, result.placement, result);
  }
}

async function restore() {
  const [button, source, place] = [at('restore'), picture, placement];
  button.disabled = true;
  button.textContent = 'Restoring…';
  try {
    say(network ? 'Restoring…' : 'Loading the network…');
    const loaded = await network;
    if (!loaded) throw new PictureError('The network is not loaded: load this page again.');
    // The button is painted before the processor is busy.
    await new Promise((resolve) => setTimeout(resolve, 20));
    const started = performance.now();
    const restored = await restoreFace(source, place, loaded);
    const all = performance.now() - started;
    if (picture !== source) return;
    result = { ...restored, picture: source, placement: place, canvas: canvasOf(restored.region) };
    at('time').textContent = `Restored in ${Math.round(all)} ms; the network took ${Math.round(restored.milliseconds)} ms on the ${loaded.name}.`;
    at('result').hidden = false;
    split(50);
    draw();
    at('result-title').focus({ preventScroll: true });
    at('result').scrollIntoView({ block: 'nearest', behavior: 'smooth' });
    say('Restored.');
  } finally {
    button.disabled = false;
    button.textContent = 'Restore';
  }
}

function split(value) {
  at('split').value = value;
  at('split').parentElement.style.setProperty('--split', `${value}%`);
}

async function download(canvas, type, ending) {
  const blob = await save(canvas, type);
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  const stem = result.picture.name.replace(/\.[^.]*$/, '') || 'picture';
  link.download = `${stem}_${ending}.${blob.type === 'image/jpeg' ? 'jpg' : 'png'}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

async function another() {
  const { name, type } = result.picture;
  show({ ...(await withPreview(pasted(result.picture, result))), name, type, note: '' });
  at('stage').focus();
}

async function example() {
  if (!build) throw new PictureError('The example is still loading: try again in a moment.');
  const response = await fetch(build.example.file);
  await choose(new File([await response.blob()], build.example.file, { type: 'image/jpeg' }), build.example.placement);
}

for (const id of ['file', 'camera']) {
  at(id).addEventListener('change', ({ target }) => {
    const [file] = target.files;
    // So that the same file can be chosen again.
    attempt(() => choose(file)).then(() => (target.value = ''));
  });
}
const clicks = {
  example,
  restore,
  another,
  fit: () => placeFace(fitted(picture.width, picture.height)),
  'save-picture': () => download(pasted(result.picture, result), result.picture.type, 'restored'),
  'save-face': () => download(canvasOf(result.face), 'image/png', 'face'),
};
for (const [id, task] of Object.entries(clicks)) at(id).addEventListener('click', () => attempt(async () => task()));
at('zoom').addEventListener('input', ({ target }) => change(about(MIDDLE, MIDDLE, 2 ** target.value / scaleOf(placement), 0)));
at('turn').addEventListener('input', ({ target }) => change(about(MIDDLE, MIDDLE, 1, target.value * Math.PI / 180 - angleOf(placement))));
at('split').addEventListener('input', ({ target }) => split(target.value));
listen(at('stage'), change);
new ResizeObserver(() => requestAnimationFrame(draw)).observe(at('work'));

addEventListener('dragover', (event) => {
  event.preventDefault();
  document.body.classList.add('dropping');
});
addEventListener('dragleave', (event) => event.relatedTarget ?? document.body.classList.remove('dropping'));
addEventListener('drop', (event) => {
  event.preventDefault();
  document.body.classList.remove('dropping');
  attempt(() => choose(event.dataTransfer.files[0]));
});
addEventListener('paste', (event) => attempt(() => choose(event.clipboardData.files[0])));

start();
