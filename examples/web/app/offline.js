// The service worker that keeps the app's files.

/**
 * Register it and wait until it answers this page's requests.
 *
 * @returns whether it does: false without service workers, as in private windows or on plain HTTP.
 */
export async function prepare() {
  try {
    const { serviceWorker } = navigator;
    await serviceWorker.register('service_worker.js');
    await serviceWorker.ready;
    if (serviceWorker.controller) return true;
    return await Promise.race([
      new Promise((resolve) => serviceWorker.addEventListener('controllerchange', () => resolve(true), { once: true })),
      // A page that was reloaded past the cache stays without one.
      new Promise((resolve) => setTimeout(resolve, 2000, false)),
    ]);
  } catch {
    return false;
  }
}
