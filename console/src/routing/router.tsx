// Where the page is: the path and query of the address bar as React state, links that do not reload, and patterns.
// Nothing here knows a page of the console.

import { type AnchorHTMLAttributes, type MouseEvent, type ReactNode, useSyncExternalStore } from "react";

const listeners = new Set<() => void>();
/** Whether the address has changed since the page was loaded: then a new page takes the keyboard's focus. */
let moved = false;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
function changed(): void {
  for (const listener of [...listeners]) listener();
}
if (typeof window !== "undefined") {
  window.addEventListener("popstate", () => {
    moved = true;
    changed();
  });
}

/** Goes to a path of this console; `replace` leaves no entry in the history. */
export function navigate(to: string, how: { replace?: boolean } = {}): void {
  if (how.replace) history.replaceState(null, "", to);
  else {
    history.pushState(null, "", to);
    moved = true;
    window.scrollTo(0, 0);
  }
  changed();
}

export const hasMoved = (): boolean => moved;

/** The current path and query, as one text that changes when either does. */
export function useAddress(): { path: string; query: URLSearchParams } {
  const text = useSyncExternalStore(subscribe, () => location.pathname + location.search);
  const url = new URL(text, location.origin);
  return { path: url.pathname, query: url.searchParams };
}

/** The values of a pattern such as `/calls/:id` in a path; nothing when it does not fit. */
export function match(pattern: string, path: string): Readonly<Record<string, string>> | null {
  const [wanted, given] = [pattern.split("/"), path.replace(/(.)\/$/, "$1").split("/")];
  if (wanted.length !== given.length) return null;
  const values: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? "";
    if (!part.startsWith(":")) {
      if (part !== value) return null;
      continue;
    }
    try {
      values[part.slice(1)] = decodeURIComponent(value);
    } catch {
      return null;
    }
  }
  return values;
}

interface LinkProps extends Omit<AnchorHTMLAttributes<HTMLAnchorElement>, "href"> {
  to: string;
  children: ReactNode;
}

/** A link to a page of this console. New tabs, downloads and other buttons stay the browser's. */
export function Link({ to, onClick, ...rest }: LinkProps) {
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (event.defaultPrevented || !plain) return;
    event.preventDefault();
    navigate(to);
  };
  return <a href={to} onClick={follow} {...rest} />;
}
