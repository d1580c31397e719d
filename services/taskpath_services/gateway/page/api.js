/** What is asked of the gateway over HTTP. No DOM here. */
import { TaskpathError } from './connection.js';

const BASE = '/api/v1';

export class Api {
  #getToken;
  #fetch;
  /** How far the server's clock is ahead of ours, in ms, as far as that can be told. */
  clockOffset = 0;

  /** @param {{getToken?: () => string | null, fetch?: typeof fetch}} [options] */
  constructor({ getToken = () => null, fetch = (...args) => globalThis.fetch(...args) } = {}) {
    this.#getToken = getToken;
    this.#fetch = fetch;
  }

  workflows() {
    return this.#call('GET', '/workflows');
  }

  instances(filter) {
    return this.#call('GET', `/instances${query(filter)}`);
  }

  instance(id, parameters) {
    return this.#call('GET', `${instancePath(id)}${query(parameters)}`);
  }

  create(body, idempotencyKey) {
    return this.#call('POST', '/instances', body, { 'Idempotency-Key': idempotencyKey });
  }

  remove(id) {
    return this.#call('DELETE', instancePath(id));
  }

  task(id, path, minRevision) {
    return this.#call('GET', `${taskPath(id, path)}${query({ minRevision })}`);
  }

  logs(id, path, parameters) {
    return this.#call('GET', `${taskPath(id, path)}/logs${query(parameters)}`);
  }

  /** The address of a task's result as it is stored. */
  resultAddress(id, path) {
    return `${BASE}${taskPath(id, path)}/result`;
  }

  async #call(method, path, body, headers = {}) {
    const token = this.#getToken();
    if (token) headers.Authorization = `Bearer ${token}`;
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    let response;
    try {
      response = await this.#fetch(BASE + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    } catch {
      throw new TaskpathError({ code: 'UNAVAILABLE', message: 'The server cannot be reached.' });
    }
    this.#readClock(response);
    if (response.status === 204) return null;
    const answer = await response.json().catch(() => null);
    if (response.ok && answer !== null) return answer;
    throw new TaskpathError(
      answer?.error ?? { code: 'UNAVAILABLE', message: `The server answered with ${response.status}.` },
    );
  }

  /** The header has whole seconds, so only a difference that a person would see counts. */
  #readClock(response) {
    const time = Date.parse(response.headers.get('Date') ?? '');
    if (Number.isNaN(time)) return;
    const offset = time + 500 - Date.now();
    this.clockOffset = Math.abs(offset) > 2_000 ? offset : 0;
  }

  /** The server's time, ms since epoch. */
  now() {
    return Date.now() + this.clockOffset;
  }
}

function instancePath(id) {
  return `/instances/${encodeURIComponent(id)}`;
}

function taskPath(id, path) {
  return `${instancePath(id)}/tasks/${encodeURIComponent(path)}`;
}

function query(parameters = {}) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined || value === null || value === '') continue;
    for (const one of Array.isArray(value) ? value : [value]) search.append(name, String(one));
  }
  const text = search.toString();
  return text && `?${text}`;
}
