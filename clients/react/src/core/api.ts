/** What is asked of a gateway over HTTP. */
import type { Clock } from './clock.js';
import { TaskpathError, unavailable } from './errors.js';
import type * as packets from './packets.js';
import type { Tokens } from './token.js';

export interface InstanceFilter {
  realm?: string | undefined;
  status?: packets.InstanceStatus | undefined;
  workflow?: string | undefined;
  /** How the name begins. */
  name?: string | undefined;
}

type Query = Record<string, string | number | readonly string[] | null | undefined>;

interface Call {
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

export class Api {
  #clock: Clock;
  #tokens: Tokens;
  #base: () => string;
  #fetch: typeof fetch;
  #offset = 0;

  /**
   * @param options.base the gateway's address, asked for at each call
   */
  constructor(options: { base: () => string; tokens: Tokens; clock: Clock; fetch: typeof fetch | undefined }) {
    this.#base = options.base;
    this.#tokens = options.tokens;
    this.#clock = options.clock;
    this.#fetch = options.fetch ?? ((...call) => globalThis.fetch(...call));
  }

  workflows(): Promise<packets.WorkflowsDocument> {
    return this.#json('GET', '/workflows');
  }

  executors(): Promise<packets.ExecutorsDocument> {
    return this.#json('GET', '/executors');
  }

  instances(filter: InstanceFilter & { limit?: number; cursor?: string | null; createdAfter?: number; createdBefore?: number }): Promise<packets.InstancesDocument> {
    return this.#json('GET', `/instances${query({ ...filter })}`);
  }

  instance(
    id: string,
    options: { minRevision?: number; paths?: readonly string[] } = {},
  ): Promise<packets.InstanceDocument | packets.TombstoneDocument> {
    return this.#json('GET', `${instancePath(id)}${query(options)}`);
  }

  create(body: packets.CreateInstanceBody, idempotencyKey?: string): Promise<packets.InstanceDocument> {
    return this.#json('POST', '/instances', { body, headers: keyed(idempotencyKey) });
  }

  /** @param change an updater of the data, or a name */
  update(id: string, change: packets.UpdateBody): Promise<packets.RevisionView> {
    return this.#json('PATCH', instancePath(id), { body: change });
  }

  async remove(id: string): Promise<void> {
    await this.#call('DELETE', instancePath(id));
  }

  execute(id: string, body: packets.ExecuteBody, idempotencyKey?: string): Promise<packets.RevisionView> {
    return this.#json('POST', `${instancePath(id)}/execute`, { body, headers: keyed(idempotencyKey) });
  }

  setContextUpdaters(id: string, path: string, updaters: unknown, idempotencyKey?: string): Promise<packets.RevisionView> {
    const call = { body: { updaters }, headers: keyed(idempotencyKey) };
    return this.#json('PUT', `${taskPath(id, path)}/contextUpdaters`, call);
  }

  task(id: string, path: string, options: { minRevision?: number; signal?: AbortSignal } = {}): Promise<packets.TaskDocument> {
    const { minRevision, signal } = options;
    return this.#json('GET', `${taskPath(id, path)}${query({ minRevision })}`, { signal });
  }

  /** A task's result, as it is stored. */
  async result(id: string, path: string, options: { signal?: AbortSignal } = {}): Promise<unknown> {
    return (await this.#call('GET', `${taskPath(id, path)}/result`, options)).json();
  }

  /** A task's result as a file of JSON, to be saved: an address would have to carry the token. */
  async resultBlob(id: string, path: string): Promise<Blob> {
    return (await this.#call('GET', `${taskPath(id, path)}/result`)).blob();
  }

  logs(id: string, path: string, options: { after?: number; limit?: number; minRevision?: number } = {}): Promise<packets.LogsDocument> {
    return this.#json('GET', `${taskPath(id, path)}/logs${query(options)}`);
  }

  /** The server's time, ms since epoch, as far as it can be told. */
  now(): number {
    return this.#clock.now() + this.#offset;
  }

  async #json<Answer>(method: string, path: string, call: Call = {}): Promise<Answer> {
    const response = await this.#call(method, path, call);
    try {
      return (await response.json()) as Answer;
    } catch {
      throw unavailable('The server sent something that is not JSON.');
    }
  }

  async #call(method: string, path: string, call: Call = {}): Promise<Response> {
    const response = await this.#send(method, path, call, await this.#tokens.get());
    if (response.status !== 401 || !this.#tokens.isRenewable) return check(response);
    return check(await this.#send(method, path, call, await this.#tokens.renew()));
  }

  async #send(method: string, path: string, call: Call, token: string | null): Promise<Response> {
    const headers: Record<string, string> = { ...call.headers };
    if (token !== null) headers['Authorization'] = `Bearer ${token}`;
    const request: RequestInit = { method, headers, ...(call.signal && { signal: call.signal }) };
    if (call.body !== undefined) {
      headers['Content-Type'] = 'application/json';
      request.body = JSON.stringify(call.body);
    }
    try {
      const response = await this.#fetch(`${this.#base()}/api/v1${path}`, request);
      this.#readClock(response);
      return response;
    } catch (error) {
      if (call.signal?.aborted) throw error;
      throw unavailable('The server cannot be reached.');
    }
  }

  /** The header has whole seconds, so only a difference that a person would see counts. */
  #readClock(response: Response): void {
    const time = Date.parse(response.headers.get('Date') ?? '');
    if (Number.isNaN(time)) return;
    const offset = time + 500 - this.#clock.now();
    this.#offset = Math.abs(offset) > 2_000 ? offset : 0;
  }
}

async function check(response: Response): Promise<Response> {
  if (response.ok) return response;
  const answer = (await response.json().catch(() => null)) as packets.ErrorResponse | null;
  throw answer?.error
    ? new TaskpathError(answer.error)
    : unavailable(`The server answered with status ${response.status}.`);
}

function keyed(key: string | undefined): Record<string, string> {
  return key === undefined ? {} : { 'Idempotency-Key': key };
}

function instancePath(id: string): string {
  return `/instances/${encodeURIComponent(id)}`;
}

function taskPath(id: string, path: string): string {
  return `${instancePath(id)}/tasks/${encodeURIComponent(path)}`;
}

function query(parameters: Query): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined || value === null || value === '') continue;
    for (const one of Array.isArray(value) ? value : [value]) search.append(name, String(one));
  }
  const text = search.toString();
  return text && `?${text}`;
}
