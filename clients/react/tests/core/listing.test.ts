import { describe, expect, it } from 'vitest';
import type { InstanceSummary } from '../../src/core/packets.js';
import { NO_PROGRESS } from '../../src/core/state.js';
import { world } from '../support/client.js';
import { settle } from '../support/clock.js';

function row(number: number, more: Partial<InstanceSummary> = {}): InstanceSummary {
  return {
    id: `i${String(number).padStart(4, '0')}`,
    workflow: 'album',
    realm: 'default',
    name: null,
    status: 'done',
    progress: NO_PROGRESS,
    createdAt: number,
    updatedAt: number,
    ...more,
  };
}

const rows = (from: number, to: number) => Array.from({ length: from - to + 1 }, (_, index) => row(from - index));

async function listed(filter = {}, all = rows(130, 1)) {
  const here = world();
  here.gateway.rows = all;
  here.answers.set('GET /api/v1/instances', (url) => {
    const limit = Number(url.searchParams.get('limit'));
    const from = Number(url.searchParams.get('cursor') ?? 0);
    const items = here.gateway.rows.slice(from, from + limit);
    return { body: { items, nextCursor: from + limit < here.gateway.rows.length ? String(from + limit) : null } };
  });
  const list = here.client.list(filter);
  const release = list.subscribe(() => {});
  await settle();
  return { ...here, list, release, ids: () => list.getSnapshot().items.map(({ createdAt }) => createdAt) };
}

async function more(list: { loadMore(): Promise<void> }): Promise<void> {
  await list.loadMore();
}

describe('a list of instances', () => {
  it('is the first page, and follows it', async () => {
    const { gateway, clock, list, ids, requests } = await listed();
    expect(ids()).toHaveLength(50);
    expect(list.getSnapshot()).toMatchObject({ isLoading: false, isLive: true, hasMore: true });
    gateway.socket.push({ type: 'instancesChanged', items: [row(131), row(100, { status: 'failed' })], removed: ['i0081'] });
    clock.frame();
    expect(ids()[0]).toBe(131);
    expect(ids()).not.toContain(81);
    expect(list.getSnapshot().items.find(({ createdAt }) => createdAt === 100)?.status).toBe('failed');
    expect(requests).toEqual([]);
  });

  it('asks with the filter, and with nothing that is not said', async () => {
    const { gateway } = await listed({ status: 'failed', workflow: undefined, name: '', limit: 20 });
    expect(gateway.socket.listing).toMatchObject({ status: 'failed', limit: 20 });
    expect(gateway.socket.listing).not.toHaveProperty('workflow');
    expect(gateway.socket.listing).not.toHaveProperty('name');
  });

  it('goes on to its end', async () => {
    const { list, ids } = await listed();
    while (list.getSnapshot().hasMore) await more(list);
    expect(ids()).toEqual(rows(130, 1).map(({ createdAt }) => createdAt));
  });

  it('keeps what newer ones push off the live page when more has been loaded', async () => {
    const { gateway, clock, list, ids } = await listed();
    await more(list);
    expect(ids()).toHaveLength(100);
    gateway.socket.push({ type: 'instancesChanged', items: [row(131)], removed: ['i0081'] });
    clock.frame();
    expect(ids()).toContain(81);
    gateway.socket.push({ type: 'instancesChanged', items: [row(80)], removed: ['i0120'] });
    clock.frame();
    expect(ids()).not.toContain(120);
    gateway.socket.push({ type: 'instanceDeleted', id: 'i0081' });
    clock.frame();
    expect(ids()).not.toContain(81);
  });

  it('reads again what it shows when the connection was away', async () => {
    const { gateway, clock, list, ids } = await listed();
    await more(list);
    gateway.socket.break();
    expect(list.getSnapshot().isLive).toBe(false);
    gateway.rows = [row(132), row(131), ...rows(130, 1).filter(({ createdAt }) => createdAt !== 60 && createdAt !== 125)];
    await clock.pass(500);
    for (let turn = 0; turn < 8; turn += 1) await new Promise((resolve) => setTimeout(resolve));
    expect(ids().slice(0, 2)).toEqual([132, 131]);
    expect(ids()).not.toContain(60);
    expect(ids()).not.toContain(125);
    expect(list.getSnapshot().isLive).toBe(true);
  });

  it('has a connection of its own if another list has the shared one', async () => {
    const { client, gateway, list, release, clock } = await listed();
    const other = client.list({ status: 'failed' });
    const stop = other.subscribe(() => {});
    expect(client.list({})).toBe(list);
    await settle();
    expect(gateway.opened).toHaveLength(2);
    expect(gateway.opened.map(({ listing }) => listing?.status)).toEqual([undefined, 'failed']);
    release();
    await clock.pass(2_000);
    expect(gateway.opened[0]!.listing).toBeNull();
    client.list({ status: 'done' }).subscribe(() => {});
    await settle();
    expect(gateway.opened).toHaveLength(2);
    expect(gateway.opened[0]!.listing?.status).toBe('done');
    stop();
  });

  it('says what is wrong, and tries again if that may help', async () => {
    const here = world();
    let refuse = true;
    here.gateway.answer = (packet) =>
      refuse && packet.type === 'watchInstances'
        ? [{ type: 'appError', error: { code: 'UNAVAILABLE', message: 'The index is away.' }, requestId: packet.requestId! }]
        : null;
    const list = here.client.list();
    list.subscribe(() => {});
    await settle();
    expect(list.getSnapshot()).toMatchObject({ isLoading: false, error: { message: 'The index is away.' } });
    refuse = false;
    await here.clock.pass(500);
    expect(list.getSnapshot()).toMatchObject({ isLive: true, error: null });
  });
});
