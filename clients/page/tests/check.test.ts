import { expect, test } from 'vitest';
import { wrongIn } from '../src/schema/check.js';
import { type Json, fieldOf } from '../src/schema/field.js';

const field = fieldOf({
  type: 'object',
  properties: {
    name: { type: 'string', minLength: 2, maxLength: 4, pattern: '^[a-z]+$' },
    word: { type: 'string', pattern: '^\\w+$' },
    share: { type: 'number', exclusiveMinimum: 0, maximum: 1 },
    count: { type: 'integer', minimum: 1, exclusiveMaximum: 10 },
    kind: { enum: ['jpeg', 'png'] },
    tags: { type: 'array', items: { type: 'string', minLength: 1 }, minItems: 1, maxItems: 2 },
    note: { anyOf: [{ type: 'string', minLength: 3 }, { type: 'null' }] },
    either: { anyOf: [{ type: 'integer' }, { type: 'string' }] },
  },
});
const said = (value: Record<string, Json>) => Object.fromEntries(wrongIn(field, value));

test('every field that is plainly wrong is marked, and none that is not', () => {
  expect(said({ name: 'x', share: 0, count: 10, kind: 'gif', tags: ['a', 'b', ''], note: 'no' })).toEqual({
    name: 'This has to have at least 2 characters.',
    share: 'This has to be more than 0.',
    count: 'This has to be less than 10.',
    kind: 'This has to be one of "jpeg", "png".',
    tags: 'This has to have at most 2 items.',
    'tags[2]': 'This is needed.',
    note: 'This has to have at least 3 characters.',
  });
  expect(said({ name: 'Xy', share: 1.5, count: 0, tags: [] })).toEqual({
    name: 'This has to be like ^[a-z]+$',
    share: 'This has to be at most 1.',
    count: 'This has to be at least 1.',
    tags: 'This has to have at least 1 item.',
  });
  expect(said({ name: 'abcde', count: 1.5, tags: 'x' })).toEqual({
    name: 'This has to have at most 4 characters; it has 5.', count: 'This has to be a whole number.', tags: 'This has to be a list.',
  });
  expect(said({ name: 'abc', share: 0.5, count: 9, kind: 'png', tags: ['a'], note: null, either: true })).toEqual({});
});

test('what the server may see otherwise is left to it', () => {
  expect(said({ word: 'Müller' })).toEqual({});
  expect(said({ word: 'no space' })).toEqual({ word: 'This has to be like ^\\w+$' });
  expect(wrongIn(fieldOf({ type: 'string', pattern: '(?P<year>\\d+)\\Z' }), 'x').size).toBe(0);
  // By characters, and not by halves of them.
  expect(wrongIn(fieldOf({ type: 'string', maxLength: 2 }), '🙂🙂').size).toBe(0);
});

test('an empty text is an answer, and one that was never written is none', () => {
  const one = fieldOf({ type: 'object', properties: { title: { type: 'string' } }, required: ['title'] });
  expect([...wrongIn(one, {})]).toEqual([['title', 'This is needed.']]);
  expect(wrongIn(one, { title: '' }).size).toBe(0);
  expect([...wrongIn(fieldOf({ type: 'array', items: { type: 'string' } }), [null])]).toEqual([['[0]', 'This is needed.']]);
});

test('a property is called by its own title, and not by that of its type', () => {
  const named = fieldOf({
    type: 'object',
    properties: { width: { type: 'integer', title: 'Width in pixels' }, cover: { $ref: '#/$defs/Size' } },
    $defs: { Size: { type: 'object', title: 'Size', properties: {} } },
  });
  expect(named.kind === 'object' && named.fields.map(({ field: { title } }) => title)).toEqual(['Width in pixels', '']);
});
