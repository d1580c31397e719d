/** A value that several components look at. */
import { useSyncExternalStore } from 'react';

export class Cell<Value> {
  #value: Value;
  #calls = new Set<() => void>();

  constructor(value: Value) {
    this.#value = value;
  }

  readonly get = (): Value => this.#value;

  set(value: Value): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const call of [...this.#calls]) call();
  }

  readonly subscribe = (call: () => void): (() => void) => {
    this.#calls.add(call);
    return () => void this.#calls.delete(call);
  };
}

export function useCell<Value>(cell: Cell<Value>): Value {
  return useSyncExternalStore(cell.subscribe, cell.get, cell.get);
}
