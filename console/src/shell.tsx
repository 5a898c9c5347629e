// The frame around every page of somebody who is signed in: the way to each of them, and out.

import { type ReactNode, useState } from "react";
import { explain } from "./api/client.ts";
import { Icon, type IconName, Mark } from "./components/ui/icons.tsx";
import { Notice } from "./components/ui/notice.tsx";
import { useSession } from "./features/session/session.tsx";
import { Link, useAddress } from "./routing/router.tsx";

interface Place {
  to: string;
  icon: IconName;
  name: string;
  short: string;
  here(path: string): boolean;
}

const PLACES: readonly Place[] = [
  { to: "/", icon: "board", name: "Live board", short: "Live", here: (path) => path === "/" },
  { to: "/calls/new", icon: "place", name: "Place a call", short: "Call", here: (path) => path === "/calls/new" },
  { to: "/calls", icon: "history", name: "History", short: "History", here: (path) => path === "/calls" },
  { to: "/agents", icon: "agents", name: "Agents", short: "Agents", here: (path) => path.startsWith("/agents") },
  { to: "/numbers", icon: "numbers", name: "Numbers", short: "Numbers", here: (path) => path === "/numbers" },
  { to: "/keys", icon: "keys", name: "API keys", short: "Keys", here: (path) => path === "/keys" },
];

export function Shell({ email, children }: { email: string; children: ReactNode }) {
  const { path } = useAddress();
  const { signOut } = useSession();
  const [fault, setFault] = useState<string | null>(null);
  const leave = () => {
    setFault(null);
    signOut().catch((error: unknown) => setFault(explain(error)));
  };
  return (
    <div className="shell">
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <header className="side">
        <div className="side-inner">
        <Link className="brand" to="/" aria-label="Trunkline, live board">
          <Mark /> <span>Trunkline</span>
        </Link>
        <nav aria-label="Console">
          <ul>
            {PLACES.map((place) => (
              <li key={place.to}>
                <Link to={place.to} aria-current={place.here(path) ? "page" : undefined}>
                  <Icon name={place.icon} />
                  <span className="long-name">{place.name}</span>
                  <span className="short-name">{place.short}</span>
                </Link>
              </li>
            ))}
          </ul>
        </nav>
        <div className="account">
          <span className="account-email" title={email}>
            {email}
          </span>
          <button type="button" className="sign-out" onClick={leave}>
            <Icon name="leave" />
            <span>Sign out</span>
          </button>
        </div>
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        {fault && <Notice tone="error">{fault}</Notice>}
        {children}
      </main>
    </div>
  );
}
