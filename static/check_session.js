// Answers a relying party's question whether the login at this provider changed (Session Management §3.3), from the cookie alone.
// The asker's origin is part of what is hashed: who asks with another's session_state is told "changed", whatever is true.
{
  const cookie = `${document.currentScript.dataset.cookie}=`;
  const question = /^([^ ]+) ([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{20,64})$/;

  const state = () => {
    const found = document.cookie.split("; ").find((each) => each.startsWith(cookie));
    return found === undefined ? "" : found.slice(cookie.length);
  };

  const answer = async (data, origin) => {
    const asked = typeof data === "string" ? question.exec(data) : null;
    if (asked === null) return "error";
    const [, client, hash, salt] = asked;
    const text = new TextEncoder().encode(`${client} ${origin} ${state()} ${salt}`);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", text));
    const found = btoa(String.fromCharCode(...digest)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
    return found === hash ? "unchanged" : "changed";
  };

  addEventListener("message", async ({ data, origin, source }) => {
    if (source === null || source === window) return;
    // Where there is no secure context, a browser has no digest, and nothing can be told.
    const said = await answer(data, origin).catch(() => "error");
    source.postMessage(said, origin === "null" ? "*" : origin);
  });
}
