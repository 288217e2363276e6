// Answers with the files of one build, kept in a cache of its own; build.py fills in the lists and their hash.
//
// A new build waits until all windows of the old one are closed, so that no page mixes the two.

const VERSION = /* VERSION */ '';
// Fetched at once, and when first asked for (a browser needs one of LiteRT's variants).
const [AT_ONCE, ON_USE] = /* FILES */ [[], []];
const PREFIX = `deblur-zoo ${self.registration.scope} `;
const CACHE = PREFIX + VERSION;

self.addEventListener('install', (event) => {
  const fill = async () => {
    const cache = await caches.open(CACHE);
    await cache.addAll(AT_ONCE.map((file) => new Request(file, { cache: 'reload' })));
  };
  event.waitUntil(fill());
});

self.addEventListener('activate', (event) => {
  const tidy = async () => {
    const names = await caches.keys();
    await Promise.all(names.filter((name) => name.startsWith(PREFIX) && name !== CACHE).map((name) => caches.delete(name)));
    await self.clients.claim();
  };
  event.waitUntil(tidy());
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method === 'GET' && request.url.startsWith(self.registration.scope)) event.respondWith(answer(request));
});

async function answer(request) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request.mode === 'navigate' ? './' : request);
  if (kept) return kept;
  const response = await fetch(request);
  const name = request.url.slice(self.registration.scope.length);
  if (response.ok && ON_USE.includes(name)) await cache.put(request, response.clone());
  return response;
}
