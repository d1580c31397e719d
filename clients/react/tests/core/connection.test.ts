import { describe, expect, it } from 'vitest';
import { backoff } from '../../src/core/backoff.js';
import { expiryOf } from '../../src/core/token.js';
import { settle } from '../support/clock.js';
import { world } from '../support/client.js';

function jwt(claims: object): string {
  const part = (value: object) => btoa(JSON.stringify(value)).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
  return `${part({ alg: 'none' })}.${part(claims)}.signature`;
}

async function opened(options: Parameters<typeof world>[0] = {}) {
  const here = world(options);
  const release = here.client.connection.hold();
  await settle();
  return { ...here, release };
}

describe('the connection', () => {
  it('opens nothing before it is needed, and closes a while after nobody needs it', async () => {
    const { client, gateway, clock } = world();
    await settle();
    expect(gateway.opened).toHaveLength(0);
    const release = client.connection.hold();
    await settle();
    expect(client.connection.state.name).toBe('open');
    expect(gateway.socket.url).toBe('ws://gateway.test/ws');
    release();
    release();
    await clock.pass(9_000);
    const again = client.connection.hold();
    await clock.pass(60_000 - 9_000);
    expect(gateway.opened).not.toHaveLength(0);
    expect(client.connection.state.name).not.toBe('idle');
    again();
    await clock.pass(11_000);
    expect(client.connection.state.name).toBe('idle');
    expect([...gateway.sockets]).toEqual([]);
  });

  it('comes back with growing delays, and at once when it is told to', async () => {
    const { client, gateway, clock } = await opened();
    gateway.away = true;
    gateway.socket.break();
    const delays: number[] = [];
    for (let round = 0; round < 4; round += 1) {
      const { name, retryAt } = client.connection.state;
      expect(name).toBe('waiting');
      delays.push(retryAt! - clock.now());
      await clock.pass(retryAt! - clock.now());
    }
    expect(delays).toEqual([500, 1_000, 2_000, 4_000]);
    gateway.away = false;
    client.retryNow();
    await settle();
    expect(client.connection.isOpen).toBe(true);
    await clock.pass(6_000); // it was steady: the delays start anew
    gateway.socket.break();
    expect(client.connection.state.retryAt! - clock.now()).toBe(500);
  });

  it('leaves half of a delay to chance, and none is longer than half a minute', () => {
    expect(backoff(1, 0)).toBe(250);
    expect(backoff(1, 1)).toBe(500);
    expect(backoff(40, 1)).toBe(30_000);
  });

  it('takes silence for a broken connection', async () => {
    const { client, gateway, clock } = await opened();
    for (let beat = 0; beat < 4; beat += 1) {
      await clock.pass(15_000);
      gateway.beat();
    }
    expect(gateway.opened).toHaveLength(1);
    await clock.pass(34_000);
    expect(client.connection.isOpen).toBe(true);
    await clock.pass(2_000);
    expect(gateway.opened).toHaveLength(2);
  });

  it('gives up a server that accepts and says nothing', async () => {
    const { client, gateway, clock } = world();
    gateway.greets = false;
    client.connection.hold();
    await clock.pass(14_000);
    expect(client.connection.state.name).toBe('connecting');
    await clock.pass(1_100);
    expect(client.connection.state.name).toBe('waiting');
  });

  it('drops a connection that does not speak JSON', async () => {
    const { client, gateway } = await opened();
    gateway.socket.onmessage?.({ data: '{"type":' });
    expect(client.connection.state.name).toBe('waiting');
    expect(client.connection.state.error?.message).toContain('not JSON');
  });

  it('answers requests by their ids, refuses with what the server says, and does not wait for ever', async () => {
    const { client, gateway, clock } = await opened();
    const error = { code: 'FORBIDDEN' as const, message: 'no' };
    gateway.answer = (packet) =>
      packet.type === 'cancel' ? [{ type: 'appError', error, requestId: packet.requestId! }] : packet.type === 'auth' ? [] : null;
    await expect(client.connection.request({ type: 'cancel', id: 'a' })).rejects.toMatchObject({ code: 'FORBIDDEN' });
    await expect(client.connection.request({ type: 'unwatchInstances' })).resolves.toMatchObject({ type: 'ack' });
    const unanswered = client.connection.request({ type: 'auth', token: 't' });
    const outcome = expect(unanswered).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    for (let beat = 0; beat < 3; beat += 1) {
      await clock.pass(12_000);
      gateway.beat();
    }
    await outcome;
  });
});

describe('the token', () => {
  it('goes as a subprotocol, never in the address', async () => {
    const { gateway } = await opened({ token: 'abc.def.ghi' });
    expect(gateway.socket.protocols).toEqual(['taskpath', 'taskpath.token.abc.def.ghi']);
    expect(gateway.socket.url).not.toContain('abc');
  });

  it('goes in the first packet when that is wanted, and when it does not fit a subprotocol', async () => {
    for (const [token, auth] of [['abc', 'packet'], ['has, a comma', undefined]] as const) {
      const { gateway } = await opened({ token, auth });
      expect(gateway.socket.protocols).toEqual(['taskpath']);
      expect(gateway.socket.sent).toEqual([{ type: 'auth', token }]);
    }
  });

  it('is renewed before it expires, over the open connection', async () => {
    const { clock: { }, ...rest } = world();
    void rest;
    let asked = 0;
    const here = world({
      getToken: () => {
        asked += 1;
        return jwt({ exp: here.clock.now() / 1000 + 600, n: asked });
      },
    });
    here.client.connection.hold();
    await settle();
    expect(asked).toBe(1);
    for (let minute = 0; minute < 8; minute += 1) {
      await here.clock.pass(60_000 / 4);
      here.gateway.beat();
      await here.clock.pass(60_000 / 4);
      here.gateway.beat();
      await here.clock.pass(60_000 / 4);
      here.gateway.beat();
      await here.clock.pass(60_000 / 4);
      here.gateway.beat();
    }
    expect(asked).toBe(1);
    await here.clock.pass(30_000);
    here.gateway.beat();
    await here.clock.pass(31_000);
    expect(asked).toBe(2);
    expect(here.gateway.opened).toHaveLength(1);
    expect(here.gateway.socket.sent.map(({ type }) => type)).toEqual(['auth']);
  });

  it('is asked for again when the server refuses it, without hurry', async () => {
    let asked = 0;
    const { client, gateway, clock } = await opened({ getToken: () => `token${(asked += 1)}` });
    gateway.socket.break(4401);
    expect(client.connection.state).toMatchObject({ name: 'denied', error: { code: 'UNAUTHENTICATED' } });
    await clock.pass(500);
    expect(asked).toBe(2);
    expect(client.connection.isOpen).toBe(true);
  });

  it('that was given once and is refused is not tried again until there is another', async () => {
    const { client, gateway, clock } = await opened({ token: 'one' });
    gateway.socket.break(4401);
    await clock.pass(600_000);
    expect(gateway.opened).toHaveLength(1);
    client.setToken({ token: 'two' });
    await settle();
    expect(client.connection.isOpen).toBe(true);
    expect(gateway.socket.protocols[1]).toBe('taskpath.token.two');
  });

  it('that cannot be had is asked for again', async () => {
    let fail = true;
    const { client, clock } = await opened({
      getToken: async () => {
        if (fail) throw new Error('signed out');
        return 'good';
      },
    });
    expect(client.connection.state).toMatchObject({ name: 'waiting', error: { message: 'signed out' } });
    fail = false;
    await clock.pass(500);
    expect(client.connection.isOpen).toBe(true);
  });

  it('says when it expires, if it does', () => {
    expect(expiryOf(jwt({ exp: 12 }))).toBe(12_000);
    expect(expiryOf(jwt({ sub: 'ü' }))).toBeNull();
    for (const text of ['', 'a.b.c', 'opaque', 'a..c']) expect(expiryOf(text)).toBeNull();
  });
});
