import { TaskpathError } from '@taskpath/react';
import type { InstanceDocument } from '@taskpath/react/core';
import { useEffect, useState } from 'react';
import { useLive, useSnapshot } from './live.js';

export interface DocumentOf {
  /** What does not change with each task; null until it was read, and for one that was deleted. */
  readonly instance: InstanceDocument | null;
  readonly error: TaskpathError | null;
}

const RETRY = 3_000;
const NOTHING: DocumentOf = { instance: null, error: null };

/** The instance as it is stored, without its tasks; read again when its status changes. */
export function useDocument(): DocumentOf {
  const { client, id } = useLive();
  const { status, isDeleted } = useSnapshot();
  const [read, setRead] = useState(NOTHING);
  useEffect(() => {
    if (isDeleted) return undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let over = false;
    const again = async () => {
      try {
        const instance = await client.api.instance(id, { paths: ['#'] });
        if (!over) setRead({ instance: 'workflow' in instance ? instance : null, error: null });
      } catch (error) {
        if (over || !(error instanceof TaskpathError)) return;
        setRead((before) => ({ ...before, error }));
        if (error.isTemporary) timer = setTimeout(() => void again(), RETRY);
      }
    };
    void again();
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [client, id, status, isDeleted]);
  return read;
}
