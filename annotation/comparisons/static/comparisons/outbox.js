// Sending answers so that none is lost: each waits in the browser until the server has taken it.
const LONGEST_WAIT = 30_000;
const wait = (ms) => new Promise((done) => { setTimeout(done, ms); });

export class Refused extends Error {}

/** The token of the session as it is now: the cookie is fresh after signing in again in another tab. */
function token() {
  const cookie = document.cookie.split("; ").find((one) => one.startsWith("csrftoken="));
  return cookie ? cookie.slice("csrftoken=".length) : document.querySelector("[name=csrfmiddlewaretoken]").value;
}

const SIGNED_OUT = new Set(["not_authenticated", "authentication_failed", "permission_denied"]);

/** One request to the API; Refused for an answer that will not change by asking again. */
export async function call(url, { method = "POST", body } = {}) {
  const answer = await fetch(url, {
    method,
    headers: { "Content-Type": "application/json", "X-CSRFToken": token() },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const data = await answer.json().catch(() => ({}));
  if (answer.ok) return data;
  const message = data.error?.message ?? `The server answered ${answer.status}.`;
  if (SIGNED_OUT.has(data.error?.code)) throw new Error("You are signed out: sign in again in another tab.");
  if (answer.status >= 500 || answer.status === 429) throw new Error(message);
  throw new Refused(message);
}

export class Outbox {
  constructor(key, onWaiting) {
    this.key = key;
    this.onWaiting = onWaiting;
  }

  waiting() {
    return JSON.parse(localStorage.getItem(this.key) ?? "[]");
  }

  #keep(entries) {
    localStorage.setItem(this.key, JSON.stringify(entries));
  }

  /** Keep the answer, then send it until it is taken or refused; the server's reply. */
  async send(url, body) {
    this.#keep([...this.waiting(), { url, body }]);
    return this.#deliver({ url, body });
  }

  /** Send what an earlier page left behind; the last reply, or null. */
  async flush() {
    let reply = null;
    for (const entry of this.waiting()) {
      reply = await this.#deliver(entry).catch((error) => { if (!(error instanceof Refused)) throw error; return null; });
    }
    return reply;
  }

  async #deliver(entry) {
    for (let pause = 1_000; ; pause = Math.min(pause * 2, LONGEST_WAIT)) {
      try {
        const reply = await call(entry.url, { body: entry.body });
        this.#drop(entry);
        return reply;
      } catch (error) {
        if (error instanceof Refused) {
          this.#drop(entry);
          throw error;
        }
        this.onWaiting(pause, error.message);
        await Promise.race([wait(pause), new Promise((done) => { addEventListener("online", done, { once: true }); })]);
      }
    }
  }

  #drop(entry) {
    this.#keep(this.waiting().filter((one) => one.body.client_uuid !== entry.body.client_uuid));
  }
}
