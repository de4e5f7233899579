// A relying party of one page with oidc-client-ts, written as its documentation shows. What happened is listed in `window.happened`.
const settings = await (await fetch("/settings.json")).json();
const manager = new oidc.UserManager(settings);
window.manager = manager;
window.happened = [];
for (const name of ["UserSignedOut", "UserSessionChanged", "SilentRenewError"]) {
  manager.events[`add${name}`](() => window.happened.push(name));
}

const callbacks = {
  "/callback": () => manager.signinRedirectCallback(),
  "/silent": () => manager.signinSilentCallback(),
  "/bye": () => manager.signoutRedirectCallback(),
};
try {
  const done = await callbacks[location.pathname]?.();
  window.answer = done ?? null;
  document.getElementById("is").textContent = "ready";
} catch (error) {
  document.getElementById("is").textContent = `${error.name}: ${error.error ?? error.message}`;
}
