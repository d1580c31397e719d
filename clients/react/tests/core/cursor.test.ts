import { describe, expect, it } from 'vitest';
import { Cursor, type Revision, type StatePacket } from '../../src/core/cursor.js';
import { NO_PROGRESS } from '../../src/core/state.js';

function packet(revision: number, baseRevision: number, more = false): StatePacket {
  return { type: 'setWorkflowStatus', id: 'i', revision, baseRevision, more, status: 'working', progress: NO_PROGRESS };
}

function at(revision: number): Cursor {
  const cursor = new Cursor();
  cursor.startOver();
  cursor.receive(packet(revision, 0));
  return cursor;
}

describe('the cursor', () => {
  it('takes nothing before it has begun', () => {
    const cursor = new Cursor();
    expect(cursor.receive(packet(3, 0))).toBeNull();
    expect(cursor.revision).toBe(0);
    cursor.startOver();
    expect(cursor.receive(packet(3, 0))).toMatchObject({ fresh: true });
    expect(cursor.revision).toBe(3);
  });

  it('moves only with the last packet of a revision', () => {
    const cursor = at(3);
    expect(cursor.receive(packet(5, 3, true))).toBeNull();
    expect(cursor.revision).toBe(3);
    const done = cursor.receive(packet(5, 3));
    expect(done).toMatchObject({ fresh: false });
    expect((done as Revision).packets).toHaveLength(2);
    expect(cursor.revision).toBe(5);
  });

  it('sees a gap, and does not move over it', () => {
    const cursor = at(3);
    expect(cursor.receive(packet(5, 4))).toBe('gap');
    expect(cursor.revision).toBe(3);
    expect(cursor.receive(packet(5, 2))).not.toBe('gap');
  });

  it('leaves out what is older than what it has', () => {
    const cursor = at(5);
    expect(cursor.receive(packet(4, 3))).toBeNull();
    expect(cursor.revision).toBe(5);
  });

  it('forgets what was begun and not finished', () => {
    const cursor = at(3);
    cursor.receive(packet(5, 3, true));
    const done = cursor.receive(packet(6, 3));
    expect((done as Revision).packets.map(({ revision }) => revision)).toEqual([6]);
    cursor.receive(packet(8, 6, true));
    cursor.resume();
    expect((cursor.receive(packet(8, 6)) as Revision).packets).toHaveLength(1);
  });

  it('is behind when the server has sent more than what has come or is coming', () => {
    const cursor = at(3);
    expect(cursor.isBehind(3)).toBe(false);
    expect(cursor.isBehind(4)).toBe(true);
    cursor.receive(packet(4, 3, true));
    expect(cursor.isBehind(4)).toBe(false);
    cursor.startOver();
    expect(cursor.isBehind(9)).toBe(false);
  });
});
