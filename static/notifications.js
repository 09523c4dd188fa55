// Turns the notifications of this browser on and off.
(() => {
  "use strict";
  const box = document.querySelector("#push");
  if (!box?.dataset.keyOfServer) return;
  const known = new Set([...box.querySelectorAll("[name=known]")].map((input) => input.value));

  const say = (state) => {
    for (const line of box.querySelectorAll("[data-state]")) line.hidden = line.dataset.state !== state;
    for (const button of document.querySelectorAll("[data-turn]")) {
      const offers = { on: ["off"], failed: ["on"], lost: ["on", "off"], off: ["on"], "signed-out": ["on"] }[state] ?? [];
      button.hidden = !offers.includes(button.dataset.turn);
      button.disabled = false;
    }
  };

  class SignedOut extends Error {}

  const post = async (url, endpoint) => {
    const body = new URLSearchParams({ endpoint, csrfmiddlewaretoken: box.querySelector("[name=csrfmiddlewaretoken]").value });
    const headers = { Accept: "application/json" };
    const answer = await fetch(url, { method: "POST", body, headers, credentials: "same-origin" });
    if (answer.status === 401) throw new SignedOut();
    // Where it was led to is no answer to what was asked.
    if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
  };
  const worker = () => navigator.serviceWorker.ready;

  const look = async () => {
    if (!("serviceWorker" in navigator) || !("PushManager" in window)) return say("missing");
    if (Notification.permission === "denied") return say("refused");
    const subscription = await (await worker()).pushManager.getSubscription();
    const isOn = subscription && known.has(subscription.endpoint) && window.isSubscribedBy(box.dataset.keyOfServer, subscription);
    // Whoever took the permission back ended them there.
    const isLost = "chosen" in box.dataset && Notification.permission === "granted";
    say(isOn ? "on" : isLost ? "lost" : "off");
  };

  const turnOn = async () => {
    if ((await Notification.requestPermission()) !== "granted") return look();
    const subscription = await window.subscribeAnew(box.dataset.keyOfServer);
    await post(box.dataset.on, subscription.endpoint);
    known.add(subscription.endpoint);
    return look();
  };

  const turnOff = async () => {
    const subscription = await (await worker()).pushManager.getSubscription();
    await post(box.dataset.off, subscription?.endpoint ?? "");
    await subscription?.unsubscribe();
    delete box.dataset.chosen;
    return look();
  };

  for (const button of document.querySelectorAll("[data-turn]")) {
    button.addEventListener("click", () => {
      button.disabled = true;
      (button.dataset.turn === "on" ? turnOn() : turnOff()).catch((error) => say(error instanceof SignedOut ? "signed-out" : "failed"));
    });
  }
  document.addEventListener("subscribed-anew", (event) => { known.add(event.detail); look(); });
  look().catch(() => say("missing"));
})();
