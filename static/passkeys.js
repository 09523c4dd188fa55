// Passkeys in forms: each hidden field with data-passkey is filled by asking for a passkey before its form goes.
// Field: data-passkey="get" or "create", data-challenge (where the options come from), data-purpose,
// data-way (filled only if the form's "way" is one of these).
(() => {
  "use strict";
  const supported = Boolean(window.PublicKeyCredential && navigator.credentials);
  for (const one of document.querySelectorAll("[data-passkey-missing]")) one.hidden = supported;
  for (const one of document.querySelectorAll("[data-passkey-offer]")) one.hidden = !supported;
  if (!supported) return;

  const bytes = (text) => {
    const binary = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
  };
  const text = (buffer) => {
    const binary = String.fromCharCode(...new Uint8Array(buffer));
    return btoa(binary).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  };

  // What parseRequestOptionsFromJSON does, which not every browser does for the PRF.
  const prfInput = (values) => ({ first: bytes(values.first) });
  const decoded = (options) => {
    const named = (list) => list?.map((one) => ({ ...one, id: bytes(one.id) }));
    const publicKey = { ...options, challenge: bytes(options.challenge) };
    if (options.user) publicKey.user = { ...options.user, id: bytes(options.user.id) };
    if (options.allowCredentials) publicKey.allowCredentials = named(options.allowCredentials);
    if (options.excludeCredentials) publicKey.excludeCredentials = named(options.excludeCredentials);
    const prf = options.extensions?.prf;
    if (prf) {
      const input = {};
      if (prf.eval) input.eval = prfInput(prf.eval);
      if (prf.evalByCredential) {
        const entries = Object.entries(prf.evalByCredential);
        input.evalByCredential = Object.fromEntries(entries.map(([id, values]) => [id, prfInput(values)]));
      }
      publicKey.extensions = { ...options.extensions, prf: input };
    }
    return publicKey;
  };

  // What toJSON does, with the PRF's result apart: it is a key, and no part of what is verified.
  const encoded = (credential) => {
    const { response } = credential;
    const results = credential.getClientExtensionResults();
    const fields = { clientDataJSON: text(response.clientDataJSON) };
    for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (response[name]) fields[name] = text(response[name]);
    }
    if (response.getTransports) fields.transports = response.getTransports();
    const prf = results.prf?.results?.first;
    const enabled = results.prf?.enabled;
    return JSON.stringify({
      credential: {
        id: credential.id,
        rawId: text(credential.rawId),
        type: credential.type,
        authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
        response: fields,
        clientExtensionResults: enabled === undefined ? {} : { prf: { enabled } },
      },
      prf: prf ? text(prf) : undefined,
    });
  };

  class Refused extends Error {}

  const optionsFor = async (field) => {
    const body = new FormData();
    body.append("csrfmiddlewaretoken", field.form.elements.csrfmiddlewaretoken.value);
    body.append("purpose", field.dataset.purpose ?? "");
    const answer = await fetch(field.dataset.challenge, { method: "POST", body });
    const found = await answer.json();
    if (!answer.ok) throw new Refused(found.error);
    return decoded(found);
  };

  const fill = async (field) => {
    const publicKey = await optionsFor(field);
    const credential = await navigator.credentials[field.dataset.passkey]({ publicKey });
    field.value = encoded(credential);
  };

  const show = (form, kind, words) => {
    for (const one of form.querySelectorAll("[data-passkey-error]")) {
      one.hidden = one.dataset.passkeyError !== kind;
      if (!one.hidden && words) one.querySelector("span").textContent = words;
    }
  };

  const wanted = (form) => [...form.querySelectorAll("input[data-passkey]")].filter((field) => {
    const { way } = field.dataset;
    return !field.value && (!way || way.split(" ").includes(form.elements.way.value));
  });

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    const fields = wanted(form);
    // A button that static/once.js holds back needs no passkey.
    if (event.defaultPrevented || !fields.length || event.submitter?.ariaDisabled === "true") return;
    event.preventDefault();
    if (form.ariaBusy === "true") return;
    form.ariaBusy = "true";
    show(form, "");
    try {
      for (const field of fields) await fill(field);
      form.requestSubmit(event.submitter);
    } catch (error) {
      const known = { NotAllowedError: "cancelled", AbortError: "cancelled", InvalidStateError: "known" };
      if (error instanceof Refused) show(form, "refused", error.message);
      else show(form, known[error.name] ?? "failed");
    } finally {
      // Each answer is taken once, and a download leaves the page as it is.
      for (const field of form.querySelectorAll("input[data-passkey]")) field.value = "";
      form.ariaBusy = null;
    }
  });
})();
