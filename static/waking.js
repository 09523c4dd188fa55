// Says once in a sign-in that a browser whose notifications are on is signed in by it: only such a one is woken.
(() => {
  "use strict";
  const { signIn, woken } = document.body.dataset;
  const SAID = "woken-in";
  if (!signIn || !("serviceWorker" in navigator) || !("PushManager" in window)) return;
  if (Notification.permission !== "granted") return;
  const confirm = async () => {
    if (localStorage.getItem(SAID) === signIn) return;
    const subscription = await (await navigator.serviceWorker.ready).pushManager.getSubscription();
    if (!subscription) return;
    const csrfmiddlewaretoken = document.querySelector("[name=csrfmiddlewaretoken]").value;
    const body = new URLSearchParams({ endpoint: subscription.endpoint, csrfmiddlewaretoken });
    const answer = await fetch(woken, { method: "POST", body, credentials: "same-origin" });
    if (answer.ok && !answer.redirected) localStorage.setItem(SAID, signIn);
  };
  // The next page tries again.
  confirm().catch(() => {});
})();
