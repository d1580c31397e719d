import { describe, expect, it } from 'vitest';
import type { WatchWorkflowInstance } from '../../src/core/packets.js';
import { world } from '../support/client.js';
import { settle } from '../support/clock.js';
import { type FakeSocket, node, state } from '../support/gateway.js';

function watches(socket: FakeSocket): WatchWorkflowInstance[] {
  return socket.sent.filter((packet) => packet.type === 'watchWorkflowInstance');
}

function begun() {
  const here = world();
  here.gateway.commit('i', {
    tasks: [node('#.a'), node('#.each', { foreach: true })],
    statuses: { '#.a': state('running'), '#.each[0]': state('queued') },
    status: 'working',
  });
  return here;
}

async function watched(paths?: string[]) {
  const here = begun();
  const instance = here.client.instance('i');
  const release = instance.watch(paths);
  await settle();
  here.clock.frame();
  return { ...here, instance, release };
}

describe('an instance', () => {
  it('is one watch, however many look at it', async () => {
    const { client, gateway, instance, clock } = await watched();
    const others = [client.instance('i').watch(), client.instance('i').watch(['#.a'])];
    await settle();
    expect(client.instance('i')).toBe(instance);
    expect(watches(gateway.socket)).toHaveLength(1);
    others.forEach((release) => release());
    await clock.pass(5_000);
    expect(watches(gateway.socket)).toHaveLength(1);
    expect(gateway.socket.watching.has('i')).toBe(true);
  });

  it('is left a while after the last one has gone, and not when somebody comes back meanwhile', async () => {
    const { client, gateway, clock, release, instance } = await watched();
    release();
    await clock.pass(1_000);
    const again = instance.watch();
    await clock.pass(900);
    again(); // in a moment it is time for the one before
    await clock.pass(1_900);
    expect(gateway.socket.watching.has('i')).toBe(true);
    await clock.pass(2_100);
    expect(gateway.socket.watching.has('i')).toBe(false);
    expect(client.instance('i')).not.toBe(instance);
    await clock.pass(10_000);
    expect(client.connection.state.name).toBe('idle');
  });

  it('asks for more at once, for less a while later, and each time for a fresh state', async () => {
    const { gateway, clock, instance, release } = await watched(['#.a']);
    expect(watches(gateway.socket)[0]).toMatchObject({ paths: ['#.a'] });
    expect([...instance.store.getState().statuses.keys()]).toEqual(['#.a']);
    const more = instance.watch();
    await settle();
    clock.frame();
    expect(watches(gateway.socket)).toHaveLength(2);
    expect(watches(gateway.socket)[1]).not.toHaveProperty('paths');
    expect(watches(gateway.socket)[1]).not.toHaveProperty('since');
    expect(instance.store.getState().statuses.size).toBe(2);
    more();
    await clock.pass(1_900);
    expect(watches(gateway.socket)).toHaveLength(2);
    await clock.pass(200);
    expect(watches(gateway.socket)[2]).toMatchObject({ paths: ['#.a'] });
    release();
  });

  it('names the items of a foreach once it has become a rollup', async () => {
    const { gateway, clock, instance } = await watched();
    instance.watch(['#.each[7]']);
    await settle();
    expect(watches(gateway.socket)).toHaveLength(1);
    const rollup = { total: 5_000, inactive: 5_000, queued: 0, running: 0, ok: 0, failed: 0, skipped: 0, cancelled: 0, stale: 0 };
    gateway.commit('i', { statuses: { '#.each': state('running', { rollup }) } });
    clock.frame();
    await settle();
    expect(watches(gateway.socket)[1]).toMatchObject({ paths: ['#.**', '#.each[7]'] });
  });

  it('resumes where it was when the connection comes back', async () => {
    const { gateway, clock, instance } = await watched();
    const { revision } = gateway.instance('i');
    gateway.socket.break();
    expect(instance.store.getSnapshot()).toMatchObject({ isLive: false, status: 'working' });
    gateway.commit('i', { statuses: { '#.a': state('ok') }, status: 'done' });
    await clock.pass(500);
    clock.frame();
    expect(watches(gateway.socket)).toMatchObject([{ since: revision }]);
    expect(instance.store.getSnapshot()).toMatchObject({ isLive: true, status: 'done' });
  });

  it('closes a gap, once', async () => {
    const { gateway, clock, instance } = await watched();
    const { revision } = gateway.instance('i');
    gateway.commit('i', { statuses: { '#.a': state('ok') } }, { lost: true });
    gateway.automatic = false;
    gateway.commit('i', { status: 'done' });
    gateway.commit('i', { progress: { done: 1 } });
    gateway.deliver();
    gateway.automatic = true;
    gateway.deliver();
    clock.frame();
    expect(watches(gateway.socket)).toHaveLength(2);
    expect(watches(gateway.socket)[1]).toMatchObject({ since: revision });
    expect(instance.store.getState().task('#.a').status).toBe('ok');
    expect(instance.store.getSnapshot().progress.done).toBe(1);
  });

  it('takes a resync for a new beginning', async () => {
    const { gateway, clock, instance } = await watched();
    gateway.commit('i', { removed: ['#.each[0]'] }, { lost: true });
    gateway.resync('i');
    clock.frame();
    expect([...instance.store.getState().statuses.keys()]).toEqual(['#.a']);
    expect(watches(gateway.socket)).toHaveLength(1);
  });

  it('heeds only the answer to what it asked last', async () => {
    const { gateway, clock, instance } = await watched(['#.a']);
    const socket = gateway.socket;
    const kept: WatchWorkflowInstance[] = [];
    gateway.answer = (packet) => {
      if (packet.type !== 'watchWorkflowInstance') return null;
      kept.push(packet);
      return [];
    };
    instance.watch(['#.each[*]']);
    await settle();
    instance.watch(['#.b']);
    await settle();
    expect(kept).toHaveLength(2);
    gateway.answer = () => null;
    gateway.receive(socket, kept[1]!);
    socket.push({ type: 'ack', requestId: kept[0]!.requestId! }); // the earlier one is answered late
    clock.frame();
    gateway.commit('i', { statuses: { '#.a': state('ok') } });
    clock.frame();
    expect(instance.store.getState().task('#.each[0]').status).toBe('queued');
    expect(instance.store.getState().task('#.a').status).toBe('ok');
  });

  it('does not take what was sent for other paths for what it has', async () => {
    const { gateway, clock, instance } = await watched(['#.a']);
    const socket = gateway.socket;
    gateway.answer = (packet) => (packet.type === 'watchWorkflowInstance' ? [] : null);
    instance.watch(['#.each[*]']);
    await settle();
    gateway.resync('i'); // of the paths before
    socket.break();
    gateway.answer = () => null;
    await clock.pass(500);
    clock.frame();
    expect(watches(gateway.socket)[0]).not.toHaveProperty('since');
    expect(instance.store.getState().task('#.each[0]').status).toBe('queued');
  });

  it('asks again for what is refused for a while, and says so', async () => {
    const { client, gateway, clock } = begun();
    let refuse = true;
    const error = { code: 'UNAVAILABLE' as const, message: 'The broker is away.' };
    gateway.answer = (packet) =>
      refuse && packet.type === 'watchWorkflowInstance' ? [{ type: 'appError', error, requestId: packet.requestId! }] : null;
    const instance = client.instance('i');
    instance.watch();
    await settle();
    expect(instance.store.getSnapshot()).toMatchObject({ isLoading: false, error: { code: 'UNAVAILABLE' } });
    refuse = false;
    await clock.pass(500);
    clock.frame();
    expect(instance.store.getSnapshot()).toMatchObject({ status: 'working', error: null, isLive: true });
  });

  it('that is not known is asked for again only when somebody else comes', async () => {
    const { client, gateway, clock } = begun();
    const instance = client.instance('other');
    instance.watch();
    await clock.pass(5_000);
    expect(instance.store.getSnapshot().error?.code).toBe('UNKNOWN_INSTANCE');
    expect(watches(gateway.socket)).toHaveLength(1);
    gateway.commit('other', { status: 'done' });
    instance.watch();
    await settle();
    clock.frame();
    expect(instance.store.getSnapshot()).toMatchObject({ status: 'done', error: null });
  });

  it('that is deleted keeps what it was, and is not asked for again', async () => {
    const { gateway, clock, instance } = await watched();
    gateway.socket.push({ type: 'instanceDeleted', id: 'i', status: 'done' });
    expect(instance.store.getSnapshot()).toMatchObject({ isDeleted: true, isEnded: true, status: 'done', error: null });
    gateway.socket.break();
    await clock.pass(500);
    expect(watches(gateway.socket)).toHaveLength(0);
  });

  it('tells of failures', async () => {
    const { gateway, instance } = await watched();
    const told: unknown[] = [];
    instance.failures.add((...what) => told.push(what));
    const error = { code: 'EXECUTION_FAILED' as const, message: 'out of paper' };
    gateway.socket.push({ type: 'executionError', id: 'i', taskPath: '#.a', error });
    expect(told).toEqual([['#.a', error]]);
  });
});

describe('the log of a task', () => {
  const line = (text: string) => ({ time: 1, level: 'info', text, attempt: 1 });

  async function following() {
    const here = await watched();
    const all = ['one', 'two', 'three'];
    here.answers.set('GET /api/v1/instances/i/tasks/#.a/logs', (url) => {
      const after = Math.min(Number(url.searchParams.get('after')), all.length);
      const lines = all.slice(after, after + Number(url.searchParams.get('limit')));
      return { body: { lines: lines.map(line), next: after + lines.length } };
    });
    const { log, release } = here.instance.followLog('#.a');
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setTimeout(resolve));
    here.clock.frame();
    return { ...here, log, release, all };
  }

  it('is what there is, then what comes, and goes on where it was after a break', async () => {
    const { gateway, clock, log, release } = await following();
    expect(log.getSnapshot()).toMatchObject({ isLoading: false, left: 0 });
    expect(log.getSnapshot().lines.map(({ text }) => text)).toEqual(['one', 'two', 'three']);
    expect(watches(gateway.socket).at(-1)).toMatchObject({ logs: ['#.a'], logsSince: { '#.a': 3 } });
    gateway.socket.push({ type: 'taskLogs', id: 'i', taskPath: '#.a', lines: [line('four')], next: 4 });
    clock.frame();
    expect(log.getSnapshot().lines).toHaveLength(4);
    gateway.socket.break();
    await clock.pass(500);
    expect(watches(gateway.socket).at(-1)).toMatchObject({ logsSince: { '#.a': 4 } });
    release();
    await clock.pass(2_000);
    expect(watches(gateway.socket).at(-1)).not.toHaveProperty('logs');
  });

  it('counts what was left out, and keeps no more than can be looked at', async () => {
    const { gateway, clock, log } = await following();
    gateway.socket.push({ type: 'taskLogs', id: 'i', taskPath: '#.a', lines: [], next: 10, dropped: 7 });
    const many = Array.from({ length: 2_500 }, (_, index) => line(`line ${index}`));
    gateway.socket.push({ type: 'taskLogs', id: 'i', taskPath: '#.a', lines: many, next: 2_510 });
    clock.frame();
    const { lines, left } = log.getSnapshot();
    expect(lines).toHaveLength(2_000);
    expect(left).toBe(7 + 503);
    expect(lines.at(-1)?.text).toBe('line 2499');
  });
});
