import assert from 'node:assert/strict';
import test from 'node:test';
import { Api, RecordReader, example, face, format, isReference, paths, settled, ticks, timeText } from './page.mjs';

test('paths are taken apart', () => {
  assert.equal(paths.parent('#.a[3].b'), '#.a[3]');
  assert.equal(paths.parent('#.a[3]'), '#.a');
  assert.equal(paths.parent('#.a'), '#');
  assert.equal(paths.parent('#'), null);
  assert.deepEqual(paths.ancestors('#.a[3].b'), ['#', '#.a', '#.a[3]']);
  assert.equal(paths.lastStep('#.a b[3]'), '[3]');
  assert.equal(paths.lastStep('#.a b'), 'a b');
  assert.equal(paths.itemIndex('#.a[3]'), 3);
  assert.equal(paths.itemIndex('#.a[3].b'), null);
  assert.equal(paths.template('#.a[3].b[12]'), '#.a[*].b[*]');
  assert.ok(paths.isUnder('#.a[3]', '#.a') && paths.isUnder('#.a', '#.a') && !paths.isUnder('#.ab', '#.a'));
});

test('every path survives an address', () => {
  for (const path of ['#.import.resize[17]', '#.50 % of it[0]', '#.köln', '#.a/b?c&d', '#.%41']) {
    assert.equal(paths.fromFragment(new URL(`http://here/i/x${paths.toFragment(path)}`).hash), path);
  }
  assert.equal(paths.toFragment('#.import.resize[17]'), '#.import.resize[17]');
  for (const none of ['', '#', '#x', '#.%E0%A4%A']) assert.equal(paths.fromFragment(none), null);
});

test('times, sizes and numbers are written for people', () => {
  assert.deepEqual([0, 34, 999, 3_400, 59_990, 184_000, 7_380_000, 90_000_000].map(format.duration), [
    '0 ms', '34 ms', '999 ms', '3.4 s', '59.9 s', '3 min 04 s', '2 h 03 min', '1 d 1 h',
  ]);
  assert.deepEqual([-50, 0, 940, 1_260].map(format.elapsed), ['0.0 s', '0.0 s', '0.9 s', '1.2 s']);
  assert.deepEqual([10, 2_048, 3 * 1024 ** 2].map(format.bytes), ['10 bytes', '2.0 KiB', '3.0 MiB']);
  assert.equal(format.percent(0.999), '99 %');
  assert.equal(format.ago(1_000, 31_000), '30 s ago');
});

test('a retry says which try it is and when the next one comes', () => {
  const retry = { try: 2, attempts: 3, nextAt: 5_000 };
  assert.equal(format.retryNote(retry, 2_100), 'try 2 of 3, next in 3 s');
  assert.equal(format.retryNote(retry, 6_000), 'try 2 of 3, next at once');
  assert.equal(format.retryNote({ try: 2, attempts: 3 }, 0), 'try 2 of 3');
  assert.equal(format.retryNote({ try: 1, attempts: 3 }, 0), '');
  assert.equal(format.retryNote(undefined, 0), '');
});

test('a row says what matters most', () => {
  const say = (state, about = 'about', rollup = null) => face({ state, about, rollup }, 2_100);
  assert.deepEqual(say({ status: 'inactive' }), { bar: null, text: 'about', tone: '' });
  assert.deepEqual(say({ status: 'running', progress: { fraction: 0.5, message: 'half way' } }), {
    bar: { fraction: 0.5 }, text: 'half way', tone: '',
  });
  const waiting = { status: 'queued', retry: { try: 2, attempts: 3, nextAt: 5_000 }, error: { message: 'x' } };
  assert.deepEqual(say(waiting), { bar: null, text: 'try 2 of 3, next in 3 s', tone: 'warn' });
  assert.deepEqual(say({ status: 'failed', error: { type: 'ValueError', message: 'out of paper\nsecond line' } }), {
    bar: null, text: 'ValueError: out of paper', tone: 'bad',
  });
  assert.equal(say({ status: 'queued', reason: 'Nobody serves the queue gpu.' }).text, 'Nobody serves the queue gpu.');
  const rollup = { total: 1624, ok: 1200, failed: 3, running: 8, queued: 0, skipped: 0, cancelled: 0, stale: 0 };
  assert.deepEqual(say({ status: 'running' }, 'about', rollup), { bar: { rollup }, text: '1,203 of 1,624 · 3 failed · 8 running', tone: '' });
});

test('time runs for what runs, and stands for what has ended', () => {
  const text = (status, start, duration, now) => timeText({ state: { status }, span: { start, duration } }, now);
  assert.equal(text('running', 1_000, null, 3_500), '2.5 s');
  assert.equal(text('running', null, null, 3_500), '');
  assert.equal(text('ok', 1_000, 340, 9_999), '340 ms');
  assert.equal(text('queued', 1_000, 340, 9_999), '');
  assert.ok(ticks({ status: 'running', executionTime: 1 }));
  assert.ok(ticks({ status: 'queued', retry: { nextAt: 5 } }));
  assert.ok(!ticks({ status: 'ok', executionTime: 1 }));
});

test('a schema gives something to begin with', () => {
  const schema = {
    $ref: '#/$defs/Album',
    $defs: {
      Album: {
        type: 'object',
        properties: {
          name: { type: 'string' }, count: { type: 'integer', default: 3 }, size: { $ref: '#/$defs/Size' },
          tags: { type: 'array' }, owner: { anyOf: [{ type: 'string' }, { type: 'null' }] },
        },
      },
      Size: { enum: ['s', 'm'] },
    },
  };
  assert.deepEqual(example(schema), { name: '', count: 3, size: 's', tags: [], owner: '' });
  assert.deepEqual(example(null), {});
});

test('only what the server puts in place of a large value is taken for a reference', () => {
  assert.ok(isReference({ ref: '#.a/body', size: 2 * 1024 ** 2 }));
  for (const value of [null, 3, [], { ref: 'x', size: 3 }, { ref: 'x', size: 2 ** 21, more: 1 }]) assert.ok(!isReference(value));
});

test('a call is an address, and a refusal an error with its code and sentence', async () => {
  const calls = [];
  let answer = { status: 200, body: { items: [] } };
  const fetch = async (address, options) => {
    calls.push([options.method, address]);
    return new Response(answer.body && JSON.stringify(answer.body), { status: answer.status });
  };
  const api = new Api({ fetch });
  await api.instances({ status: 'done', name: '', limit: 50, cursor: null });
  await api.task('a b', '#.x[1]', 7);
  await api.instance('i', { paths: ['#.a[*]', '#'] });
  assert.deepEqual(calls, [
    ['GET', '/api/v1/instances?status=done&limit=50'],
    ['GET', '/api/v1/instances/a%20b/tasks/%23.x%5B1%5D?minRevision=7'],
    ['GET', '/api/v1/instances/i?paths=%23.a%5B*%5D&paths=%23'],
  ]);
  answer = { status: 422, body: { error: { code: 'INVALID_DATA', message: 'count: an integer is expected.' } } };
  await assert.rejects(api.create({}, 'k'), { code: 'INVALID_DATA', message: 'count: an integer is expected.' });
  answer = { status: 502, body: null };
  await assert.rejects(api.workflows(), { code: 'UNAVAILABLE' });
  answer = { status: 204, body: null };
  assert.equal(await api.remove('i'), null);
});

test('a record is read again only for news, and once for all that came while it was read', async () => {
  let reads = 0;
  const waiting = [];
  const told = [];
  const reader = new RecordReader(() => new Promise((resolve) => waiting.push(resolve, (reads += 1))), (record) => told.push(record));
  reader.follow({ status: 'running', attempt: 1 });
  reader.follow({ status: 'running', attempt: 1, progress: { fraction: 0.5 } });
  reader.follow({ status: 'queued', attempt: 1 });
  reader.follow({ status: 'ok', attempt: 2 });
  assert.equal(reads, 1);
  waiting[0]('first');
  await settled();
  assert.equal(reads, 2);
  waiting[2]('second');
  await settled();
  assert.deepEqual([reads, told], [2, ['first', 'second']]);
});
