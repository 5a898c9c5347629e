// The frame of a page: its title in the tab and as the first heading, which takes the focus when somebody navigates here,
// so that screen readers say where they are.

import { type ReactNode, useEffect, useRef } from "react";
import { hasMoved } from "../../routing/router.tsx";

interface Props {
  title: string;
  /** The heading, when it says more than the tab's title. */
  heading?: ReactNode;
  /** Above the heading: the way back. */
  above?: ReactNode;
  /** Beside the heading. */
  actions?: ReactNode;
  /** Under the heading. */
  lead?: ReactNode;
  children: ReactNode;
}

export function Page({ title, heading, above, actions, lead, children }: Props) {
  const top = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Trunkline`;
  }, [title]);
  useEffect(() => {
    if (hasMoved()) top.current?.focus({ preventScroll: true });
  }, []);
  return (
    <>
      <header className="page-head">
        {above && <div className="page-above">{above}</div>}
        <div className="page-title">
          <h1 ref={top} tabIndex={-1}>
            {heading ?? title}
          </h1>
          {actions && <div className="actions">{actions}</div>}
        </div>
        {lead && <div className="page-lead">{lead}</div>}
      </header>
      {children}
    </>
  );
}
