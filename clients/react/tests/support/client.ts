import { Taskpath, type TaskpathOptions } from '../../src/core/index.js';
import { ManualClock, settle } from './clock.js';
import { FakeGateway } from './gateway.js';

/** A client of a gateway in memory. */
export function world(options: Partial<TaskpathOptions> = {}) {
  const clock = new ManualClock();
  const gateway = new FakeGateway();
  const requests: { method: string; url: string; headers: Record<string, string>; body: unknown }[] = [];
  /** What HTTP answers, by method and path. */
  const answers = new Map<string, (url: URL, body: unknown) => { status?: number; body: unknown }>();
  const fetch = (async (address: string, request: RequestInit = {}) => {
    const url = new URL(address);
    const method = request.method ?? 'GET';
    const body: unknown = request.body ? JSON.parse(request.body as string) : undefined;
    requests.push({ method, url: address, headers: request.headers as Record<string, string>, body });
    const answer = answers.get(`${method} ${decodeURIComponent(url.pathname)}`)?.(url, body);
    const { status = 200, body: text } = answer ?? { status: 404, body: { error: { code: 'UNKNOWN_INSTANCE', message: 'none' } } };
    return new Response(JSON.stringify(text), { status, headers: { 'Content-Type': 'application/json' } });
  }) as typeof globalThis.fetch;
  const client = new Taskpath({
    url: 'http://gateway.test',
    openSocket: gateway.open,
    clock,
    fetch,
    random: () => 1,
    ...options,
  });
  return { client, clock, gateway, requests, answers, settle };
}
