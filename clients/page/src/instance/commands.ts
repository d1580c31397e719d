/** What an operator does to an instance or a path, and what is offered when it is refused. */
import { type Taskpath, TaskpathError, useConnection } from '@taskpath/react';
import { type ExecuteOptions, type Instance, paths } from '@taskpath/react/core';
import { useCallback, useEffect, useRef, useState } from 'react';
import { instanceAddress, listAddress } from '../app/address.js';
import { go } from '../app/router.js';
import { type Offer, notify, notifyError, textOf } from '../ui/notices.js';
import { useLive } from './live.js';

/** Why something was refused, and what can be done about it. */
export interface Refusal {
  readonly text: string;
  readonly offers: readonly Offer[];
}

export interface Commands {
  readonly isPending: boolean;
  /** Why nothing can be asked for now, in a sentence; null if it can. */
  readonly hindrance: string | null;
  /** Resolves to whether it was accepted. */
  run(options: ExecuteOptions): Promise<boolean>;
  cancel(path: string): Promise<boolean>;
  remove(): Promise<boolean>;
}

function asNotice({ text, offers }: Refusal): void {
  notify(text, 'bad', offers);
}

/**
 * @param refused shows a refusal; a notice does, where a dialog does not stand before it
 */
export function useCommands(refused: (refusal: Refusal) => void = asNotice): Commands {
  const { client, id, instance } = useLive();
  const [pending, setPending] = useState(0);
  const { name } = useConnection();
  // What is asked for while the gateway is away would be sent when it is back, whatever has become of the instance by then.
  const hindrance = name === 'open' ? null : 'Not now: there is no connection to the gateway';
  const refuse = useRef(refused);
  useEffect(() => {
    refuse.current = refused;
  });
  const attempt = useCallback(async (call: () => Promise<unknown>, offers: (error: TaskpathError) => Offer[]) => {
    setPending((count) => count + 1);
    try {
      await call();
      return true;
    } catch (error) {
      refuse.current({ text: textOf(error), offers: error instanceof TaskpathError ? offers(error) : [] });
      return false;
    } finally {
      setPending((count) => count - 1);
    }
  }, []);
  const run = useCallback(
    (options: ExecuteOptions) => attempt(() => client.execute(id, options), (error) => offersFor(client, instance, options, error)),
    [attempt, client, id, instance],
  );
  const cancel = useCallback((path: string) => attempt(() => client.cancel(id, { path }), () => []), [attempt, client, id]);
  const remove = useCallback(
    () =>
      attempt(async () => {
        await client.api.remove(id);
        go(listAddress());
        notify('The instance was deleted.');
      }, () => []),
    [attempt, client, id],
  );
  return { isPending: pending > 0, hindrance, run, cancel, remove };
}

function offersFor(client: Taskpath, { id, store }: Instance, options: ExecuteOptions, error: TaskpathError): Offer[] {
  const offers: Offer[] = [];
  const again = (label: string, upstream: 'run' | 'ignore'): Offer => ({
    label,
    act: () => void client.execute(id, { ...options, upstream }).catch(notifyError),
  });
  if (error.code === 'CANNOT_START_TASK') offers.push(again('Run what is missing first', 'run'), again('Run anyway', 'ignore'));
  const { path } = error;
  const isThere = path && error.code !== 'CANNOT_FIND_TASK' && store.getSnapshot().tree.has(path);
  if (isThere && path !== paths.ROOT) offers.push({ label: `Show ${paths.lastStep(path)}`, act: () => go(instanceAddress(id, path)) });
  return offers;
}
