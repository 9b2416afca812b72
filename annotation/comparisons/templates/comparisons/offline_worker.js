// Answers a navigation to the labeling page that does not reach the server by a page that says so. It stores nothing,
// and what reaches the server never comes from here.
const PAGE = {{ page|safe }};
const HEADERS = {{ headers|safe }};
addEventListener("install", () => skipWaiting());
addEventListener("fetch", (event) => {
  const { mode, method } = event.request;
  if (mode !== "navigate" || method !== "GET") return;
  event.respondWith(fetch(event.request).catch(() => new Response(PAGE, { status: 503, headers: HEADERS })));
});
