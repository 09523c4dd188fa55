{% load i18n static %}// Kept by the browser for when no page is open: wakes with a notice, and says so when there is no network.
// It keeps no page of anybody: only the words for a missing network and what they are shown with.
"use strict";
const OFFLINE = "{% url 'offline' %}";
const KEPT = [OFFLINE, "{% static 'tokens.css' %}", "{% static 'app.css' %}", "{% static 'list.css' %}", "{% static 'icons.svg' %}", "{% static 'favicon.svg' %}"];
// Another version of any of it is another shell.
const SHELL = `shell ${KEPT.join(" ")}`;

addEventListener("install", (event) => {
  // What a page posts as it goes is lost at times where it has to pass a worker first, as in Chromium.
  event.addRoutes?.({ condition: { requestMethod: "post" }, source: "network" });
  event.waitUntil(caches.open(SHELL).then((cache) => cache.addAll(KEPT)).then(() => skipWaiting()));
});

addEventListener("activate", (event) => {
  const old = (names) => names.filter((name) => name !== SHELL).map((name) => caches.delete(name));
  event.waitUntil(caches.keys().then((names) => Promise.all(old(names))).then(() => clients.claim()));
});

addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.mode === "navigate" && request.method === "GET") {
    event.respondWith(fetch(request).catch(() => caches.match(OFFLINE)));
  } else if (KEPT.includes(new URL(request.url).pathname)) {
    event.respondWith(fetch(request).catch(() => caches.match(request, { ignoreSearch: true })));
  }
});

// Nothing where the app is not installed.
const count = (unread) => (unread ? navigator.setAppBadge?.(unread) : navigator.clearAppBadge?.())?.catch(() => {});

// Safari, and every browser of an iPhone, wakes nobody any more who has shown nothing three times, whatever was in front of
// the person (WebKit, "Meet Web Push").
const mayStaySilent = () => /Chrome\/|Firefox\//.test(navigator.userAgent);

const READ = { title: "Waxwing", body: "{% filter escapejs %}{% translate 'You have read everything' %}{% endfilter %}", path: "/", unread: 0, silent: true };

const show = async () => {
  // Nobody is told of what is in front of them.
  const open = await clients.matchAll({ type: "window" });
  const seen = open.some((page) => page.visibilityState === "visible");
  if (seen && mayStaySilent()) return;
  let notice = { title: "Waxwing", body: "{% filter escapejs %}{% translate 'Something new may have come' %}{% endfilter %}", path: "/" };
  try {
    const answer = await fetch("{% url 'notice' %}", { credentials: "same-origin", cache: "no-store" });
    if (answer.status === 204) notice = mayStaySilent() ? null : READ;
    else if (answer.ok) notice = await answer.json();
  } catch { /* without a network the general words remain */ }
  if (!notice || "unread" in notice) count(notice?.unread);
  if (!notice) return;
  await registration.showNotification(notice.title, {
    body: notice.body,
    tag: "news",
    renotify: true,
    silent: seen || Boolean(notice.silent),
    icon: "{% static 'icon-192.png' %}",
    data: { path: notice.path },
  });
};
addEventListener("push", (event) => event.waitUntil(show()));

// The push service took the browser's address away, or gave it another one. What fails here a page does once it is opened.
const renew = async (given) => {
  const answer = await fetch("{% url 'notifications-renewal' %}", { credentials: "same-origin", cache: "no-store" });
  if (answer.status !== 200) return;
  const { key, on, token } = await answer.json();
  const subscribeAnew = async () => {
    await (await registration.pushManager.getSubscription())?.unsubscribe();
    return registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  };
  const { endpoint } = given ?? await subscribeAnew();
  const body = new URLSearchParams({ endpoint, csrfmiddlewaretoken: token });
  await fetch(on, { method: "POST", body, headers: { Accept: "application/json" }, credentials: "same-origin" });
};
addEventListener("pushsubscriptionchange", (event) => event.waitUntil(renew(event.newSubscription).catch(() => {})));

addEventListener("notificationclick", (event) => {
  event.notification.close();
  const url = new URL(event.notification.data?.path ?? "/", location.origin);
  if (url.origin !== location.origin) return;
  event.waitUntil(clients.matchAll({ type: "window" }).then(async (open) => {
    const page = open.find((each) => each.url === url.href) ?? open[0];
    if (!page) return clients.openWindow(url.href);
    await page.focus();
    if (page.url !== url.href) await page.navigate(url.href);
  }));
});
