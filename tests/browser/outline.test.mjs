import assert from 'node:assert/strict';
import test from 'node:test';
import { InstanceStore, Outline, nearest } from './page.mjs';

const leaf = (name, path) => ({ name, path, description: '', children: [] });
const ok = { status: 'ok', stale: false };

function outlined(count, states = {}) {
  const store = new InstanceStore();
  const resize = { ...leaf('resize', '#.resize'), foreach: true, count, children: [leaf('save', '#.resize[*].save')] };
  const tasks = [leaf('list', '#.list'), resize, { ...leaf('out', '#.out'), children: [leaf('cdn', '#.out.cdn')] }];
  store.apply([{ type: 'workflowDescription', revision: 1, tasks }, { type: 'setTasksStatuses', revision: 1, statuses: states }], true);
  return { store, outline: new Outline(store) };
}

const shown = (outline) => outline.rows().map((row) => (row.kind === 'task' ? row.path : `items ${row.first} of ${row.count}`));

test('groups are closed until they are opened', () => {
  const { outline } = outlined(2);
  assert.deepEqual(shown(outline), ['#.list', '#.resize', '#.out']);
  outline.open('#.out');
  outline.open('#.resize');
  assert.deepEqual(shown(outline), ['#.list', '#.resize', '#.resize[0]', '#.resize[1]', '#.out', '#.out.cdn']);
  outline.open('#.resize[1]');
  assert.deepEqual(outline.rows().map(({ level }) => level), [1, 1, 2, 2, 3, 1, 2]);
  outline.close('#.resize');
  assert.deepEqual(shown(outline), ['#.list', '#.resize', '#.out', '#.out.cdn']);
});

test('items are shown by pages', () => {
  const { outline } = outlined(120);
  outline.open('#.resize');
  assert.equal(shown(outline).length, 3 + 1 + 50);
  assert.ok(shown(outline).includes('items 0 of 120'));
  outline.page('#.resize', 100);
  assert.deepEqual(shown(outline).slice(2, 4), ['items 100 of 120', '#.resize[100]']);
  assert.equal(shown(outline).length, 3 + 1 + 20);
});

test('ten thousand items make no more rows than a page', () => {
  const { outline } = outlined(10_000);
  outline.open('#.resize');
  assert.equal(shown(outline).length, 54);
});

test('only items of one status are shown where that is wanted', () => {
  const failed = { ...ok, status: 'failed' };
  const { outline } = outlined(40, { '#.resize[3]': failed, '#.resize[31]': failed });
  outline.open('#.resize');
  outline.filter('#.resize', 'failed');
  assert.deepEqual(shown(outline).slice(2, 5), ['items 0 of 2', '#.resize[3]', '#.resize[31]']);
  outline.filter('#.resize', 'failed', [7]);
  assert.deepEqual(shown(outline).slice(2, 4), ['items 0 of 1', '#.resize[7]']);
});

test('a task is revealed at its page, without its filter', () => {
  const { outline } = outlined(500);
  outline.filter('#.resize', 'failed');
  outline.reveal('#.resize[217].save');
  assert.ok(shown(outline).includes('#.resize[217].save'));
  assert.ok(shown(outline).includes('items 200 of 500'));
});

test('items are asked for only when they do not come by themselves and are shown', () => {
  const small = outlined(1000).outline;
  small.open('#.resize');
  assert.equal(small.patterns(), undefined);
  const large = outlined(1001).outline;
  assert.equal(large.patterns(), undefined);
  large.open('#.resize');
  assert.deepEqual(large.patterns(), ['#.**', '#.resize[*]']);
  large.close('#.resize');
  assert.equal(large.patterns(), undefined);
});

test('of very many items only those of the page are watched, within what the server takes', () => {
  const { outline } = outlined(100_000);
  outline.open('#.resize');
  outline.page('#.resize', 70_000);
  const patterns = outline.patterns();
  assert.deepEqual(patterns.slice(0, 2), ['#.**', '#.resize[70000]']);
  assert.equal(patterns.length, 51);
  assert.ok(!outline.watchesWhole('#.resize'));
});

test('the keyboard stays near where it was', () => {
  const { outline } = outlined(3);
  outline.open('#.out');
  const rows = outline.rows();
  assert.equal(nearest(rows, '#.out.cdn'), '#.out.cdn');
  assert.equal(nearest(rows, '#.resize[2].save'), '#.resize');
  assert.equal(nearest(rows, ''), '#.list');
  assert.equal(nearest([], '#.list'), null);
});

test('groups are opened at first, at every level, but for a foreach and for too many rows', () => {
  const store = new InstanceStore();
  const group = (name, path, children) => ({ ...leaf(name, path), children });
  const many = Array.from({ length: 200 }, (_, index) => leaf(`t${index}`, `#.many.t${index}`));
  const tasks = [
    group('a', '#.a', [group('b', '#.a.b', [leaf('c', '#.a.b.c')])]),
    group('many', '#.many', many),
    { ...group('each', '#.each', [leaf('x', '#.each[*].x')]), foreach: true, count: 2 },
  ];
  store.apply([{ type: 'workflowDescription', revision: 1, tasks }], true);
  const outline = new Outline(store);
  outline.openGroups();
  assert.deepEqual(shown(outline), ['#.a', '#.a.b', '#.a.b.c', '#.many', '#.each']);
});
