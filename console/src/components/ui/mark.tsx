// A small mark with an explanation: shown on hover, on focus and on a tap, read by screen readers with the mark.

import { type KeyboardEvent, type ReactNode, useId, useState } from "react";
import { Icon, type IconName } from "./icons.tsx";

export function ExplainedMark(props: { icon: IconName; tone: "warn" | "quiet"; tip: string; children: ReactNode }) {
  const id = useId();
  const [dismissed, setDismissed] = useState(false);
  const escape = (event: KeyboardEvent) => {
    if (event.key === "Escape") setDismissed(true);
  };
  const again = () => setDismissed(false);
  return (
    <span className={`explained ${dismissed ? "dismissed" : ""}`} onMouseEnter={again} onFocus={again} onKeyDown={escape}>
      <button type="button" className={`mark ${props.tone}`} aria-describedby={id}>
        <Icon name={props.icon} />
        {props.children}
      </button>
      <span role="tooltip" id={id} className="tip">
        {props.tip}
      </span>
    </span>
  );
}
