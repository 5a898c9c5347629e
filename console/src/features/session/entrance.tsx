// The pages before the console: a card in the middle with the product's name.

import { type ReactNode, useEffect } from "react";
import { Mark } from "../../components/ui/icons.tsx";

export function Entrance({ title, lead, children }: { title: string; lead: ReactNode; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Trunkline`;
  }, [title]);
  return (
    <main className="entrance" id="main">
      <div className="entrance-card">
        <p className="brand">
          <Mark /> Trunkline
        </p>
        <h1>{title}</h1>
        <div className="entrance-lead">{lead}</div>
        {children}
      </div>
    </main>
  );
}
