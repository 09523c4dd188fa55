// Says once a day that a browser whose notifications are on is signed in here: only such a one is woken. One that lost its
// address at its push service, or has one by a former key of the server, gets another by that.
(() => {
  "use strict";
  const { signIn, woken } = document.body.dataset;
  const SAID = "woken-in";
  if (!signIn || !("serviceWorker" in navigator) || !("PushManager" in window)) return;
  const manager = async () => (await navigator.serviceWorker.ready).pushManager;

  // No other is given while there is one, even where that wakes nobody any more.
  window.subscribeAnew = async (applicationServerKey) => {
    const pushes = await manager();
    await (await pushes.getSubscription())?.unsubscribe();
    return pushes.subscribe({ userVisibleOnly: true, applicationServerKey });
  };
  window.isSubscribedBy = (key, subscription) => {
    const its = subscription.options?.applicationServerKey;
    const letters = its && btoa(String.fromCharCode(...new Uint8Array(its)));
    return !letters || letters.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "") === key;
  };
  if (Notification.permission !== "granted") return;

  const post = async (address, endpoint) => {
    const csrfmiddlewaretoken = document.querySelector("[name=csrfmiddlewaretoken]").value;
    const body = new URLSearchParams({ endpoint, csrfmiddlewaretoken });
    const answer = await fetch(address, { method: "POST", body, headers: { Accept: "application/json" }, credentials: "same-origin" });
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
    return answer;
  };
  const confirm = async () => {
    const now = `${signIn} ${new Date().toDateString()}`;
    if (localStorage.getItem(SAID) === now) return;
    const subscription = await (await manager()).getSubscription();
    const answer = await post(woken, subscription?.endpoint ?? "");
    // What fails from here on is tried again tomorrow.
    localStorage.setItem(SAID, now);
    if (answer.status === 204) return;
    const { key, lost, on } = await answer.json();
    if (!lost && window.isSubscribedBy(key, subscription)) return;
    const { endpoint } = await window.subscribeAnew(key);
    await post(on, endpoint);
    document.dispatchEvent(new CustomEvent("subscribed-anew", { detail: endpoint }));
  };
  // One page at a time; the next one tries again.
  navigator.locks.request(SAID, confirm).catch(() => {});
})();
