import { type ReactNode, createContext, useContext, useEffect, useRef, useState } from 'react';
import { type GetToken, Taskpath, type TaskpathOptions, type Token } from '../core/index.js';

const Context = createContext<Taskpath | null>(null);

let ofThisOrigin: Taskpath | null = null;

export interface TaskpathProviderProps extends Omit<TaskpathOptions, 'token' | 'getToken'> {
  token?: Token;
  /** Asked for a token at the first need and before the last one expires; it may be another function each time. */
  getToken?: GetToken | undefined;
  /** A client that exists already; the other properties are not looked at then. */
  client?: Taskpath | undefined;
  children?: ReactNode;
}

/** Gives everything inside it one client, and so one connection. Another `url` or `auth` makes another one. */
export function TaskpathProvider({ client, children, ...options }: TaskpathProviderProps) {
  if (client) return <Context.Provider value={client}>{children}</Context.Provider>;
  return (
    <Owner key={`${options.url ?? ''} ${options.auth ?? ''}`} {...options}>
      {children}
    </Owner>
  );
}

function Owner({ children, ...options }: Omit<TaskpathProviderProps, 'client'>) {
  const { token, getToken } = options;
  const latest = useRef(getToken);
  useEffect(() => {
    latest.current = getToken;
  });
  const asks = getToken !== undefined;
  const ask = () => latest.current?.();
  const [client] = useState(() => new Taskpath({ ...options, getToken: asks ? ask : undefined }));
  const presented = useRef({ token, asks });
  useEffect(() => {
    if (presented.current.token === token && presented.current.asks === asks) return;
    presented.current = { token, asks };
    client.setToken({ token, getToken: asks ? () => latest.current?.() : undefined });
  }, [client, token, asks]);
  return <Context.Provider value={client}>{children}</Context.Provider>;
}

/** The client of the nearest provider; without one, a client of the server that the page came from. */
export function useTaskpath(): Taskpath {
  return useContext(Context) ?? (ofThisOrigin ??= new Taskpath());
}
