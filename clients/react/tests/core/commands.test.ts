import { describe, expect, it } from 'vitest';
import { world } from '../support/client.js';
import { settle } from '../support/clock.js';

describe('commands', () => {
  it('are answered with the revision at which they show', async () => {
    const { client, gateway } = world();
    gateway.answer = (packet) => (packet.type === 'executeTask' ? [{ type: 'ack', requestId: packet.requestId!, revision: 7 }] : null);
    await expect(client.execute('i', { path: '#.a', mode: 'failed', argument: null })).resolves.toEqual({ revision: 7 });
    const [packet] = gateway.socket.sent;
    expect(packet).toMatchObject({ type: 'executeTask', id: 'i', taskPath: '#.a', mode: 'failed', argument: null });
    expect(packet).not.toHaveProperty('upstream');
    expect(packet).toHaveProperty('idempotencyKey');
  });

  it('are refused with what the server says', async () => {
    const { client, gateway } = world();
    const error = { code: 'CANNOT_START_TASK' as const, message: '#.a is not done.', path: '#.a' };
    gateway.answer = (packet) => (packet.type === 'executeTask' ? [{ type: 'appError', error, requestId: packet.requestId! }] : null);
    await expect(client.execute('i')).rejects.toMatchObject({ code: 'CANNOT_START_TASK', path: '#.a' });
  });

  it('whose answer was lost are sent again, with the same key', async () => {
    const { client, gateway, clock } = world();
    gateway.answer = (packet) => (packet.type === 'cancel' && gateway.opened.length === 1 ? [] : null);
    const done = client.cancel('i');
    await settle();
    gateway.socket.break();
    await clock.pass(500);
    await expect(done).resolves.toEqual({ revision: 0 });
    const [first, second] = gateway.opened.map((socket) => socket.sent[0]);
    expect(second).toMatchObject({ type: 'cancel', taskPath: '#' });
    expect((second as { idempotencyKey: string }).idempotencyKey).toBe((first as { idempotencyKey: string }).idempotencyKey);
  });

  it('fail when there is no connection for half a minute, and leave nothing open', async () => {
    const { client, gateway, clock } = world();
    gateway.away = true;
    const done = expect(client.execute('i')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await clock.pass(31_000);
    await done;
    await clock.pass(11_000);
    expect(client.connection.state.name).toBe('idle');
  });

  it('that are too long for a packet go by HTTP', async () => {
    const { client, gateway, answers, requests } = world();
    answers.set('POST /api/v1/instances/i/execute', () => ({ body: { revision: 3 } }));
    await expect(client.execute('i', { argument: 'x'.repeat(300_000), idempotencyKey: 'k' })).resolves.toEqual({ revision: 3 });
    expect(requests[0]).toMatchObject({ headers: { 'Idempotency-Key': 'k' }, body: { path: '#' } });
    expect(gateway.opened).toHaveLength(0);
  });

  it('show in what is read afterwards', async () => {
    const { client, gateway, answers, requests } = world();
    gateway.answer = (packet) => (packet.type === 'executeTask' ? [{ type: 'ack', requestId: packet.requestId!, revision: 7 }] : null);
    answers.set('GET /api/v1/instances/i/tasks/#.a[1]', () => ({ body: {} }));
    await client.execute('i');
    await client.task('i', '#.a[1]');
    expect(requests[0]?.url).toBe('http://gateway.test/api/v1/instances/i/tasks/%23.a%5B1%5D?minRevision=7');
  });
});

describe('HTTP', () => {
  it('carries the token in a header, and asks for another when it is refused', async () => {
    let asked = 0;
    const { client, answers, requests } = world({ getToken: () => `t${(asked += 1)}` });
    const refused = { error: { code: 'UNAUTHENTICATED', message: 'expired' } };
    answers.set('GET /api/v1/workflows', () => (asked === 1 ? { status: 401, body: refused } : { body: { items: [] } }));
    await expect(client.api.workflows()).resolves.toEqual({ items: [] });
    expect(requests.map(({ headers }) => headers['Authorization'])).toEqual(['Bearer t1', 'Bearer t2']);
    expect(requests.every(({ url }) => !url.includes('t1'))).toBe(true);
  });

  it('tells errors by their codes', async () => {
    const { client } = world();
    await expect(client.api.instance('none')).rejects.toMatchObject({ name: 'TaskpathError', code: 'UNKNOWN_INSTANCE' });
    const away = world({ fetch: () => Promise.reject(new TypeError('network')) });
    await expect(away.client.api.workflows()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});
