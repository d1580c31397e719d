import assert from 'node:assert/strict';
import test from 'node:test';
import { InstanceStore } from './page.mjs';

const leaf = (name, path) => ({ name, path, description: `about ${name}`, children: [] });
const album = (count) => [
  leaf('list', '#.list'),
  { ...leaf('resize', '#.resize'), foreach: true, count, children: [leaf('save', '#.resize[*].save')] },
  { ...leaf('publish', '#.publish'), children: [leaf('cdn', '#.publish.cdn'), leaf('mail', '#.publish.mail')] },
];
const ok = { status: 'ok', stale: false, executionTime: 1, duration: 2, attempt: 1 };
const description = (tasks, revision = 1) => ({ type: 'workflowDescription', revision, tasks });
const statuses = (states, revision = 1, removed = undefined) => ({ type: 'setTasksStatuses', revision, statuses: states, removed });

function filled(count = 3) {
  const store = new InstanceStore();
  const states = { '#.list': ok, '#.resize': { ...ok, status: 'running' } };
  for (let index = 0; index < count; index += 1) states[`#.resize[${index}]`] = ok;
  const status = { type: 'setWorkflowStatus', revision: 1, status: 'working', progress: { total: 6, done: 4 } };
  store.apply([description(album(count)), statuses(states), status], true);
  return store;
}

test('a described tree is walked by paths, each item of a foreach as the foreach says', () => {
  const store = filled();
  assert.deepEqual(store.children('#'), ['#.list', '#.resize', '#.publish']);
  assert.deepEqual(store.children('#.publish'), ['#.publish.cdn', '#.publish.mail']);
  assert.deepEqual(store.children('#.resize'), []);
  assert.deepEqual(store.children('#.resize[2]'), ['#.resize[2].save']);
  assert.deepEqual(store.children('#.list'), []);
  assert.ok(store.isForeach('#.resize'));
  assert.ok(!store.isForeach('#.resize[2]'));
  assert.equal(store.count('#.resize'), 3);
  assert.equal(store.about('#.publish.cdn'), 'about cdn');
  assert.equal(store.about('#.resize[1].save'), 'about save');
  assert.equal(store.about('#.resize[1]'), '');
});

test('a tree that comes in parts is put together by its paths', () => {
  const store = new InstanceStore();
  const shell = (children) => ({ ...leaf('publish', '#.publish'), children });
  store.apply(
    [
      description([leaf('list', '#.list'), shell([leaf('cdn', '#.publish.cdn')])]),
      { ...description([shell([leaf('mail', '#.publish.mail')]), leaf('end', '#.end')]), continues: true },
    ],
    true,
  );
  assert.deepEqual(store.children('#'), ['#.list', '#.publish', '#.end']);
  assert.deepEqual(store.children('#.publish'), ['#.publish.cdn', '#.publish.mail']);
  store.apply([description([leaf('other', '#.other')], 2)]);
  assert.deepEqual(store.children('#'), ['#.other']);
});

test('one revision is one change, which names what is different', () => {
  const store = filled();
  const changes = [];
  store.changes.add((change) => changes.push(change));
  store.apply([
    statuses({ '#.list': { ...ok, attempt: 2 } }, 2),
    { type: 'setWorkflowStatus', revision: 2, status: 'done', progress: { total: 6, done: 6 } },
  ]);
  assert.equal(changes.length, 1);
  assert.deepEqual([...changes[0].paths], ['#.list']);
  assert.deepEqual([changes[0].everything, changes[0].described, changes[0].instance], [false, false, true]);
  assert.deepEqual([store.revision, store.status, store.progress.done], [2, 'done', 6]);
});

test('a state is replaced and never changed, so what did not change stays the same object', () => {
  const store = filled();
  const before = [store.state('#.list'), store.state('#.resize')];
  store.apply([statuses({ '#.list': { ...ok, attempt: 2 } }, 2)]);
  assert.notEqual(store.state('#.list'), before[0]);
  assert.equal(store.state('#.resize'), before[1]);
  assert.equal(before[0].attempt, 1);
});

test('a task of which nothing was said is inactive', () => {
  const store = filled();
  assert.equal(store.state('#.publish.mail').status, 'inactive');
  assert.ok(!store.knows('#.publish.mail'));
});

test('a fresh state forgets what is not in it', () => {
  const store = filled();
  store.apply([description(album(1)), statuses({ '#.list': ok })], true);
  assert.ok(!store.knows('#.resize[0]'));
  assert.equal(store.count('#.resize'), 1);
});

test('removed items take what is below them along', () => {
  const store = filled(12);
  store.apply([statuses({ '#.resize[1].save': ok, '#.resize[11].save': ok }, 2)]);
  store.apply([description(album(2), 3), statuses({}, 3, ['#.resize[2]', '#.resize[11]'])]);
  assert.ok(store.knows('#.resize[1].save'));
  assert.ok(store.knows('#.resize[1]'));
  assert.ok(!store.knows('#.resize[11].save'));
  assert.ok(!store.knows('#.resize[2]'));
});

test('the counts of a foreach are the server\'s where it sends them, else those of its items', () => {
  const store = filled(3);
  store.apply([statuses({ '#.resize[1]': { ...ok, status: 'failed' }, '#.resize[2]': { ...ok, stale: true } }, 2)]);
  const counted = store.rollup('#.resize');
  assert.deepEqual([counted.total, counted.ok, counted.failed, counted.stale], [3, 2, 1, 1]);
  assert.deepEqual(store.itemsWith('#.resize', 'failed'), [1]);
  const rollup = { total: 5000, ok: 4990, failed: 10, stale: 0 };
  store.apply([statuses({ '#.resize': { ...ok, rollup } }, 3)]);
  assert.equal(store.rollup('#.resize'), rollup);
  assert.equal(store.rollup('#.publish'), null);
});

test('a foreach inside an item is as long as its known items', () => {
  const store = new InstanceStore();
  const inner = { ...leaf('pages', '#.books[*].pages'), foreach: true };
  store.apply([description([{ ...leaf('books', '#.books'), foreach: true, count: 2, children: [inner] }])], true);
  assert.equal(store.count('#.books[0].pages'), 0);
  store.apply([statuses({ '#.books[0].pages[0]': ok, '#.books[0].pages[4]': ok, '#.books[1].pages[1]': ok }, 2)]);
  assert.equal(store.count('#.books[0].pages'), 5);
  assert.equal(store.count('#.books[1].pages'), 2);
  store.apply([statuses({}, 3, ['#.books[0].pages[3]', '#.books[0].pages[4]'])]);
  assert.equal(store.count('#.books[0].pages'), 3);
});

test('it is known whether anything is stale or failed', () => {
  const store = filled();
  assert.deepEqual([store.hasStale, store.hasFailed], [false, false]);
  store.apply([statuses({ '#.list': { ...ok, stale: true }, '#.publish.cdn': { ...ok, status: 'failed' } }, 2)]);
  assert.deepEqual([store.hasStale, store.hasFailed], [true, true]);
  store.apply([statuses({ '#.list': ok, '#.publish.cdn': ok }, 3)]);
  assert.deepEqual([store.hasStale, store.hasFailed], [false, false]);
  store.apply([statuses({ '#.resize': { ...ok, rollup: { total: 5000, ok: 5000, failed: 0, stale: 3 } } }, 4)]);
  assert.ok(store.hasStale);
  store.apply([description(album(3)), statuses({})], true);
  assert.ok(!store.hasStale);
});

test('a group takes as long as its subtree, once that is over', () => {
  const store = filled(3);
  const at = (executionTime, duration) => ({ ...ok, executionTime, duration });
  const group = { ...ok, status: 'running', executionTime: 100, duration: 5 };
  store.apply([statuses({ '#.publish': group, '#.publish.cdn': at(110, 40), '#.publish.mail': { ...at(120, null), status: 'running' } }, 2)]);
  assert.deepEqual(store.span('#.publish'), { start: 100, duration: null });
  store.apply([statuses({ '#.publish': { ...group, status: 'ok' }, '#.publish.mail': at(120, 300) }, 3)]);
  assert.deepEqual(store.span('#.publish'), { start: 100, duration: 320 });
  assert.deepEqual(store.span('#.publish.cdn'), { start: 110, duration: 40 });
  store.apply([statuses({ '#.resize': { ...ok, executionTime: null, duration: null }, '#.resize[1]': at(0.5, 9) }, 4)]);
  assert.deepEqual(store.span('#.resize'), { start: 0.5, duration: 9 });
});

test('how long the items of a large foreach took together is not known', () => {
  const store = filled(0);
  store.apply([description(album(5000), 2), statuses({ '#.resize': { ...ok, executionTime: 100, duration: 1 } }, 2)]);
  assert.deepEqual(store.span('#.resize'), { start: 100, duration: null });
  assert.deepEqual(store.span('#.publish'), { start: null, duration: null });
});
