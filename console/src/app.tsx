// Which page an address shows, for whoever is at the door or inside.

import { lazy, type ReactNode, Suspense } from "react";
import { ErrorBoundary } from "./components/error-boundary.tsx";
import { Button } from "./components/ui/button.tsx";
import { Empty, Loading, Notice } from "./components/ui/notice.tsx";
import { Page } from "./components/ui/page.tsx";
import { BoardPage } from "./features/board/board-page.tsx";
import { CallPage } from "./features/call/call-page.tsx";
import { HistoryPage } from "./features/history/history-page.tsx";
import { PlaceCallPage } from "./features/place-call/place-call-page.tsx";
import { Entrance } from "./features/session/entrance.tsx";
import { useSession } from "./features/session/session.tsx";
import { SignIn } from "./features/session/sign-in.tsx";
import { match, useAddress } from "./routing/router.tsx";
import { Shell } from "./shell.tsx";

// What is seldom opened is fetched when it is.
const AgentsPage = lazy(() => import("./features/agents/agents-page.tsx").then((file) => ({ default: file.AgentsPage })));
const AgentPage = lazy(() => import("./features/agents/agent-page.tsx").then((file) => ({ default: file.AgentPage })));
const NewAgentPage = lazy(() => import("./features/agents/agent-page.tsx").then((file) => ({ default: file.NewAgentPage })));
const NumbersPage = lazy(() => import("./features/numbers/numbers-page.tsx").then((file) => ({ default: file.NumbersPage })));
const KeysPage = lazy(() => import("./features/keys/keys-page.tsx").then((file) => ({ default: file.KeysPage })));
const SetUp = lazy(() => import("./features/session/set-up.tsx").then((file) => ({ default: file.SetUp })));

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
  return (
    <ErrorBoundary key={path}>
      <Suspense fallback={<Loading what="the page" />}>{pageAt(path)}</Suspense>
    </ErrorBoundary>
  );
}

function pageAt(path: string): ReactNode {
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
      return (
        <Suspense fallback={null}>
          <SetUp />
        </Suspense>
      );
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
