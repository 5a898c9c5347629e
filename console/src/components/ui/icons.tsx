// The console's icons: strokes on a 24-unit grid, drawn in the colour of the text. They never stand alone: a word, seen or
// spoken, is beside each.

import type { ReactNode } from "react";

const DRAWINGS = {
  board: <path d="M4 13v-2M8 17V7M12 20V4M16 16V8M20 13v-2" />,
  place: (
    <>
      <path d="M6.6 3.6 9 4l1 4-2 1.6a12 12 0 0 0 6.4 6.4L16 14l4 1 .4 2.4A2.6 2.6 0 0 1 17.8 20.4 14.2 14.2 0 0 1 3.6 6.2 2.6 2.6 0 0 1 6.6 3.6Z" />
      <path d="M15 5h5m-2.5-2.5v5" />
    </>
  ),
  history: (
    <>
      <path d="M4 12a8 8 0 1 0 2.5-5.8L4 8.5" />
      <path d="M4 4v4.5h4.5M12 8v4.5l3 1.8" />
    </>
  ),
  agents: (
    <>
      <rect x="4.5" y="8" width="15" height="11" rx="3" />
      <path d="M12 8V4.5M9 12.5v2M15 12.5v2M2.5 12.5v3M21.5 12.5v3" />
    </>
  ),
  numbers: <path d="M9.5 4 7.5 20M16.5 4l-2 16M4.5 9h16M3.5 15h16" />,
  keys: (
    <>
      <circle cx="8" cy="15.5" r="4" />
      <path d="m11 12.5 8.5-8.5M16 7.5l3 3M13.5 10l2 2" />
    </>
  ),
  inbound: <path d="M18.5 5.5 6.5 17.5M6.5 9v8.5H15" />,
  outbound: <path d="M5.5 18.5 17.5 6.5M9 6.5h8.5V15" />,
  browser: (
    <>
      <rect x="3.5" y="5" width="17" height="14" rx="2.5" />
      <path d="M3.5 9.5h17" />
    </>
  ),
  hangup: <path d="M3 14.5c0-4 4-6.5 9-6.5s9 2.5 9 6.5v1.5a1 1 0 0 1-1 1l-3.5-.7a1 1 0 0 1-.8-1V13a11 11 0 0 0-7.4 0v2.3a1 1 0 0 1-.8 1L4 17a1 1 0 0 1-1-1Z" />,
  check: <path d="m5 12.5 4.5 4.5L19 7.5" />,
  cut: (
    <>
      <circle cx="6.5" cy="6.5" r="2.5" />
      <circle cx="6.5" cy="17.5" r="2.5" />
      <path d="m8.7 7.8 11 8.7M8.7 16.2l11-8.7" />
    </>
  ),
  back: <path d="M19 12H5.5M11 6l-6 6 6 6" />,
  copy: (
    <>
      <rect x="9" y="9" width="11" height="11" rx="2.5" />
      <path d="M15 5.5A1.5 1.5 0 0 0 13.5 4h-8A1.5 1.5 0 0 0 4 5.5v8A1.5 1.5 0 0 0 5.5 15" />
    </>
  ),
  leave: <path d="M14 4.5H6.5A1.5 1.5 0 0 0 5 6v12a1.5 1.5 0 0 0 1.5 1.5H14M10.5 12H20M16.5 8.5 20 12l-3.5 3.5" />,
  refresh: <path d="M20 12a8 8 0 1 1-2.5-5.8L20 8.5M20 4v4.5h-4.5" />,
  plus: <path d="M12 5v14M5 12h14" />,
  down: <path d="M12 5v13.5M6 12.5l6 6 6-6" />,
} satisfies Record<string, ReactNode>;

export type IconName = keyof typeof DRAWINGS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      {DRAWINGS[name]}
    </svg>
  );
}

/** The product's mark: a voice on a line. */
export function Mark() {
  return (
    <svg className="brand-mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="8" />
      <path d="M7 13v6M12 9v14M16 14v4M20 6v20M25 12v8" />
    </svg>
  );
}
