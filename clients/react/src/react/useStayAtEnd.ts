import { type UIEvent, useEffect, useRef } from 'react';

/** So near to the end, in pixels, one looks at the end. */
const NEAR = 24;

/** A list that grows at its end stays there while one looks at its end: what its element is given. */
export function useStayAtEnd<E extends HTMLElement>(content: unknown) {
  const ref = useRef<E>(null);
  const atEnd = useRef(true);
  useEffect(() => {
    const element = ref.current;
    if (element && atEnd.current) element.scrollTop = element.scrollHeight;
  }, [content]);
  const onScroll = ({ currentTarget: at }: UIEvent<E>) => {
    atEnd.current = at.scrollHeight - at.scrollTop - at.clientHeight < NEAR;
  };
  return { ref, onScroll };
}
