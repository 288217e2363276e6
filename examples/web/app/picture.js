// A picture's file to upright sRGB pixels in a canvas, and a canvas to a file.

const MOST_MEGAPIXELS = 50;
// What every browser's canvas can hold.
const SAFE_MEGAPIXELS = 16;
const LEAST_SIDE = 16;
const PREVIEW_SIDE = 2048;

/** An error whose message is the sentence to show. */
export class PictureError extends Error {}

const megapixels = (width, height) => Math.round(width * height / 1e5) / 10;

/**
 * Read a picture: turned upright by its EXIF data, its colours converted to sRGB.
 *
 * @param file a File or Blob.
 * @returns a picture: {canvas, preview, width, height, name, type, note}; `preview` is a smaller copy to draw from.
 */
export async function open(file) {
  const name = file.name ?? 'picture';
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: 'from-image' });
  } catch {
    throw new PictureError(`${name} is not a picture that this browser can read: choose a JPEG, PNG or WebP file.`);
  }
  const { width, height } = bitmap;
  const size = `${name} has ${megapixels(width, height)} megapixels`;
  if (width * height > MOST_MEGAPIXELS * 1e6) {
    throw new PictureError(`${size}, too many for a browser: choose a picture of at most ${MOST_MEGAPIXELS}.`);
  }
  if (Math.min(width, height) < LEAST_SIDE) {
    throw new PictureError(`${name} has ${width} x ${height} pixels: choose a picture of at least ${LEAST_SIDE} x ${LEAST_SIDE}.`);
  }
  let canvas = drawn(bitmap, 1);
  let note = '';
  if (!canvas) {
    canvas = drawn(bitmap, Math.min(1, Math.sqrt(SAFE_MEGAPIXELS * 1e6 / (width * height))));
    if (!canvas) throw new PictureError(`${size}, and this browser has no memory for it: choose a smaller picture.`);
    note = `${size}, more than this browser can hold, and was reduced to ${megapixels(canvas.width, canvas.height)}.`;
  }
  bitmap.close();
  return { ...(await withPreview(canvas)), name, type: file.type, note };
}

/** The picture in a canvas, as its file; JPEG for a JPEG, else PNG. */
export async function save(canvas, type) {
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, type === 'image/jpeg' ? type : 'image/png', 0.95));
  if (!blob) throw new PictureError('This browser has no memory to write the picture: choose a smaller one.');
  return blob;
}

export async function withPreview(canvas) {
  const { width, height } = canvas;
  const scale = Math.min(1, PREVIEW_SIDE / Math.max(width, height));
  const size = { resizeWidth: Math.max(1, Math.round(scale * width)), resizeHeight: Math.max(1, Math.round(scale * height)) };
  const preview = await createImageBitmap(canvas, scale < 1 ? { ...size, resizeQuality: 'high' } : {});
  return { canvas, preview, width, height };
}

/** A canvas with the bitmap, or null where the browser's canvas cannot be so large: some then stay empty, silently. */
function drawn(bitmap, scale) {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.floor(scale * side)));
  try {
    const context = canvas.getContext('2d', { willReadFrequently: true });
    const corner = [canvas.width - 1, canvas.height - 1, 1, 1];
    context.fillRect(...corner);
    if (context.getImageData(...corner).data[3] !== 255) return null;
    context.clearRect(...corner);
    context.imageSmoothingQuality = 'high';
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    return canvas;
  } catch {
    return null;
  }
}
