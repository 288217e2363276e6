// The network in LiteRT.js: on the processor, then on the graphics card where that is faster and gives the same.

import { CROP } from './geometry.js';

const SHAPE = [1, CROP, CROP, 3];
// Half a grey level: beyond it a graphics card's arithmetic would show.
const TOLERANCE = 0.5 / 255;

/**
 * Load LiteRT and the network, for the processor.
 *
 * @param build what build.py wrote into build.json.
 * @returns an object with `name`, `restore`, a function of a face, an image of CROP x CROP, to {image, milliseconds}, and
 *   `faster`, a function to such an object for the graphics card, or to this one where there is none or it is not better.
 */
export async function load(build) {
  const { getDefaultEnvironment, loadAndCompile, loadLiteRt, supportsFeature, Tensor } = await import(`./${build.litert}/core.js`);
  const threads = self.crossOriginIsolated && (await supportsFeature('relaxedSimd')) && (await supportsFeature('threads'));
  await loadLiteRt(new URL(`${build.litert}/`, document.baseURI).href, { threads });
  const response = await fetch(build.model);
  if (!response.ok) throw new Error(`${build.model}: ${response.status}`);
  const bytes = new Uint8Array(await response.arrayBuffer());

  const compiled = (name, model) => ({
    name,
    model,
    async restore(face) {
      const start = performance.now();
      const input = new Tensor(face.data, SHAPE);
      const [output] = await model.run(input);
      const data = Float32Array.from(await output.data(), (value) => Math.min(1, Math.max(0, value)));
      input.delete();
      output.delete();
      return { image: { data, width: CROP, height: CROP }, milliseconds: performance.now() - start };
    },
  });

  const processor = compiled(threads ? 'processor (several threads)' : 'processor', await loadAndCompile(bytes, { accelerator: 'wasm' }));
  processor.faster = async () => {
    const device = getDefaultEnvironment().webGpuDevice;
    // A fallback adapter is a graphics card that the processor plays.
    if (!device || device.adapterInfo?.isFallbackAdapter) return processor;
    try {
      const model = await loadAndCompile(bytes, { accelerator: 'webgpu', gpuOptions: { precision: 'fp32' } });
      const card = compiled('graphics card', model);
      if (model.isFullyAccelerated && (await isBetter(card, processor))) return card;
      model.delete();
    } catch (error) {
      console.warn('WebGPU is not used:', error);
    }
    return processor;
  };
  return processor;
}

/** Whether a restorer gives on a test picture what a reference gives, in less time. */
async function isBetter(candidate, reference) {
  const data = Float32Array.from({ length: 3 * CROP * CROP }, (_, i) => 0.5 + 0.4 * Math.sin(i * i * 1e-5 + (i % 3)));
  const face = { data, width: CROP, height: CROP };
  // The first run compiles and allocates.
  await candidate.restore(face);
  await reference.restore(face);
  const [found, expected] = [await candidate.restore(face), await reference.restore(face)];
  const difference = found.image.data.reduce((most, value, i) => Math.max(most, Math.abs(value - expected.image.data[i])), 0);
  console.info(`${candidate.name}: ${found.milliseconds} ms, ${reference.name}: ${expected.milliseconds} ms, apart ${difference}`);
  return difference <= TOLERANCE && found.milliseconds < expected.milliseconds;
}
