// Buttons. A busy one keeps its place and the keyboard's focus and does nothing.

import type { ButtonHTMLAttributes } from "react";
import { Icon, type IconName } from "./icons.tsx";

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: "primary" | "plain" | "danger" | "quiet";
  icon?: IconName;
  busy?: boolean;
}

export function Button({ look = "plain", icon, busy = false, type = "button", children, onClick, ...rest }: Props) {
  return (
    <button
      {...rest}
      type={type}
      className={`button ${look}`}
      aria-disabled={busy || undefined}
      onClick={(event) => {
        if (busy) event.preventDefault();
        else onClick?.(event);
      }}
    >
      {busy ? <span className="spinner" aria-hidden="true" /> : icon && <Icon name={icon} />}
      {children}
    </button>
  );
}
