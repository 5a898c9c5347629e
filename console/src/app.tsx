// Which page an address shows, for whoever is at the door or inside.

import { type ReactNode } from "react";
import { Button } from "./components/ui/button.tsx";
import { Empty, Loading, Notice } from "./components/ui/notice.tsx";
import { Page } from "./components/ui/page.tsx";
import { AgentPage, NewAgentPage } from "./features/agents/agent-page.tsx";
import { AgentsPage } from "./features/agents/agents-page.tsx";
import { BoardPage } from "./features/board/board-page.tsx";
import { CallPage } from "./features/call/call-page.tsx";
import { HistoryPage } from "./features/history/history-page.tsx";
import { KeysPage } from "./features/keys/keys-page.tsx";
import { NumbersPage } from "./features/numbers/numbers-page.tsx";
import { PlaceCallPage } from "./features/place-call/place-call-page.tsx";
import { Entrance } from "./features/session/entrance.tsx";
import { useSession } from "./features/session/session.tsx";
import { SetUp } from "./features/session/set-up.tsx";
import { SignIn } from "./features/session/sign-in.tsx";
import { match, useAddress } from "./routing/router.tsx";
import { Shell } from "./shell.tsx";

type Draw = (values: Readonly<Record<string, string>>) => ReactNode;

/** A fixed path stands before a pattern that would also fit. The key makes a page with another value a new page. */
const PAGES: readonly (readonly [pattern: string, draw: Draw])[] = [
  ["/", () => <BoardPage />],
  ["/calls/new", () => <PlaceCallPage />],
  ["/calls", () => <HistoryPage />],
  ["/calls/:id", ({ id = "" }) => <CallPage key={id} id={id} />],
  ["/agents", () => <AgentsPage />],
  ["/agents/new", () => <NewAgentPage />],
  ["/agents/:id", ({ id = "" }) => <AgentPage key={id} id={id} />],
  ["/numbers", () => <NumbersPage />],
  ["/keys", () => <KeysPage />],
];

function Routed() {
  const { path } = useAddress();
  for (const [pattern, draw] of PAGES) {
    const values = match(pattern, path);
    if (values) return draw(values);
  }
  return (
    <Page title="Not found">
      <Empty title="There is no such page">
        <p>The address has a mistake in it, or the page has moved.</p>
      </Empty>
    </Page>
  );
}

export function App() {
  const { state, check } = useSession();
  switch (state.is) {
    case "asking":
      return (
        <main className="entrance">
          <h1 className="sr-only">Trunkline</h1>
          <Loading what="the console" />
        </main>
      );
    case "unknown":
      return (
        <Entrance title="Not connected" lead={<Notice tone="error">{state.why}</Notice>}>
          <Button look="primary" icon="refresh" onClick={check}>
            Try again
          </Button>
        </Entrance>
      );
    case "to-set-up":
      return <SetUp />;
    case "signed-out":
      return <SignIn ended={state.ended} />;
    case "signed-in":
      return (
        <Shell email={state.email}>
          <Routed />
        </Shell>
      );
  }
}
