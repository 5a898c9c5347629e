// One request as React state: begun when its inputs change, dropped when they change again or the page is left.

import { type DependencyList, useCallback, useEffect, useState } from "react";
import { explain } from "./client.ts";

export interface Loaded<T> {
  /** The last answer; kept while a newer one is fetched. */
  data: T | null;
  /** Why there is no newer answer, as a sentence. */
  error: string | null;
  loading: boolean;
  reload(): void;
}

export function useLoad<T>(load: (signal: AbortSignal) => Promise<T>, inputs: DependencyList): Loaded<T> {
  const [state, setState] = useState<{ data: T | null; error: string | null; loading: boolean }>({
    data: null,
    error: null,
    loading: true,
  });
  const [round, setRound] = useState(0);
  useEffect(() => {
    const leave = new AbortController();
    setState((old) => ({ ...old, loading: true }));
    load(leave.signal).then(
      (data) => leave.signal.aborted || setState({ data, error: null, loading: false }),
      (error: unknown) =>
        leave.signal.aborted || setState((old) => ({ ...old, error: explain(error), loading: false })),
    );
    return () => leave.abort();
    // `load` is a closure over `inputs`.
  }, [...inputs, round]);
  const reload = useCallback(() => setRound((old) => old + 1), []);
  return { ...state, reload };
}
