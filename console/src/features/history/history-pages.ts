// Pages of the history put together: rows keep their place, none shows twice, and the cursor is the last page's.

import type { CallPage, CallRow } from "../../api/types.gen.ts";

export interface HistoryView {
  /** No page has come yet. */
  first: boolean;
  calls: readonly CallRow[];
  /** For the next page; null: there is none, or none is known. */
  cursor: string | null;
}

export const NO_HISTORY: HistoryView = { first: true, calls: [], cursor: null };

export function addPage(view: HistoryView, page: CallPage): HistoryView {
  const known = new Set(view.calls.map((row) => row.call));
  // A page without anything new and with the same cursor would be asked for again for ever.
  const fresh = page.calls.filter((row) => !known.has(row.call));
  const stuck = fresh.length === 0 && page.nextCursor === view.cursor;
  return { first: false, calls: [...view.calls, ...fresh], cursor: stuck ? null : page.nextCursor };
}
