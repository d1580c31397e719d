import assert from 'node:assert/strict';
import test from 'node:test';
import { Listing, connect, settled } from './page.mjs';

const instance = (number, more = {}) => ({ id: `i${number}`, createdAt: number, status: 'done', ...more });

/** A list over pages of 50 of the instances that the test holds. */
async function listed(total, { open = true, gone } = {}) {
  const world = connect();
  world.connection.start();
  if (open) world.socket().hello();
  const calls = [];
  let all = Array.from({ length: total }, (_, index) => instance(total - index));
  const api = {
    async instances({ limit, cursor, ...filter }) {
      calls.push({ limit, cursor, filter });
      const from = Number(cursor ?? 0);
      const items = all.slice(from, from + limit);
      return { items, nextCursor: from + limit < all.length ? String(from + limit) : null };
    },
  };
  const listing = new Listing({ connection: world.connection, api });
  await listing.setFilter({ status: 'done', name: '' });
  const change = (items, removed = []) => world.socket().say({ type: 'instancesChanged', items, removed });
  if (open) {
    world.socket().ack();
    change(all.filter(({ id }) => id !== gone).slice(0, 50));
  }
  const ids = () => listing.items.map(({ id }) => id);
  return { ...world, listing, calls, change, ids, setAll: (items) => (all = items) };
}

test('the first page is read, then watched with the same filter', async () => {
  const { socket, listing, ids } = await listed(3);
  const { requestId, ...packet } = socket().sent.at(-1);
  assert.deepEqual(packet, { type: 'watchInstances', status: 'done', limit: 50 });
  assert.deepEqual(ids(), ['i3', 'i2', 'i1']);
  assert.ok(!listing.hasMore);
  assert.ok(!listing.isLoading);
});

test('changes keep the order, newest first; what leaves the filter goes', async () => {
  const { change, ids, listing } = await listed(3);
  change([instance(9), instance(2, { status: 'failed' })], ['i3']);
  assert.deepEqual(ids(), ['i9', 'i2', 'i1']);
  assert.equal(listing.items[1].status, 'failed');
});

test('what goes between the reading and the watching is not in the list', async () => {
  const short = await listed(3, { gone: 'i2' });
  assert.deepEqual(short.ids(), ['i3', 'i1']);
  const long = await listed(120, { gone: 'i90' });
  assert.ok(!long.ids().includes('i90'));
  assert.equal(long.ids().length, 49, 'the next one comes with its own page');
});

test('a deleted instance goes', async () => {
  const { socket, ids } = await listed(3);
  socket().say({ type: 'instanceDeleted', id: 'i2' });
  assert.deepEqual(ids(), ['i3', 'i1']);
});

test('more is the next page; what belongs to a page that is not loaded does not come before it', async () => {
  const { change, ids, listing } = await listed(120);
  assert.equal(ids().length, 50);
  change([instance(5, { status: 'failed' }), instance(100, { status: 'failed' })]);
  assert.equal(ids().length, 50);
  assert.equal(listing.items[20].status, 'failed');
  await listing.more();
  await listing.more();
  assert.equal(ids().length, 120);
  assert.ok(!listing.hasMore);
});

test('the answer for an earlier filter is not shown', async () => {
  const { listing, ids, setAll } = await listed(3);
  const late = listing.setFilter({ status: 'failed' });
  setAll([instance(77)]);
  await Promise.all([late, listing.setFilter({})]);
  assert.deepEqual(ids(), ['i77']);
});

test('changes for an earlier filter are not heard', async () => {
  const { listing, change, ids, socket } = await listed(3);
  await listing.setFilter({ status: 'failed' });
  change([instance(9)]);
  assert.ok(!ids().includes('i9'));
  socket().ack();
  change([instance(9)]);
  assert.ok(ids().includes('i9'));
});

test('after a lost connection as much as was shown is read again', async () => {
  const { clock, socket, listing, calls, ids, setAll } = await listed(120);
  await listing.more();
  socket().breaks();
  setAll([instance(500)]);
  clock.move(500);
  socket().hello();
  await settled();
  assert.equal(calls.at(-1).limit, 100);
  assert.deepEqual(ids(), ['i500']);
});

test('without a connection the list is read, and watched when there is one', async () => {
  const { socket, ids } = await listed(2, { open: false });
  assert.deepEqual(ids(), ['i2', 'i1']);
  socket().hello();
  await settled();
  assert.equal(socket().sent.at(-1).type, 'watchInstances');
});

test('a list that cannot be read says why', async () => {
  const world = connect();
  const api = { instances: () => Promise.reject(new Error('The server cannot be reached.')) };
  const listing = new Listing({ connection: world.connection, api });
  await listing.setFilter({});
  assert.equal(listing.error.message, 'The server cannot be reached.');
  assert.ok(!listing.isLoading);
});

test('an instance that newer ones push off the watched page stays on its own page', async () => {
  const { change, ids, listing } = await listed(60);
  await listing.more();
  change([instance(100)], ['i11']);
  assert.equal(ids().length, 61);
  assert.ok(ids().includes('i11'));
  change([], ['i50']);
  assert.ok(!ids().includes('i50'));
});
