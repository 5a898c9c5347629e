// Who is signed in, for every page: asks the edge once, follows sign-in and sign-out, and notices when the edge has ended
// the session. The forms are in sign-in.tsx and set-up.tsx.

import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from "react";
import { Client, explain } from "../../api/client.ts";
import type { SessionView } from "../../api/types.gen.ts";

export type SessionState =
  | { is: "asking" }
  | { is: "unknown"; why: string }
  | { is: "to-set-up" }
  /** `ended`: somebody was signed in until just now. */
  | { is: "signed-out"; ended: boolean }
  | { is: "signed-in"; email: string };

interface Session {
  client: Client;
  state: SessionState;
  /** Takes the answer of set-up or sign-in. */
  enter(view: SessionView): void;
  /** Asks the edge again; for a socket that is refused again and again. */
  check(): void;
  signOut(): Promise<void>;
}

const Context = createContext<Session | null>(null);

export function useSession(): Session {
  const session = useContext(Context);
  if (!session) throw new Error("outside of SessionProvider");
  return session;
}

export const useClient = (): Client => useSession().client;

function stateOf(view: SessionView, wasIn: boolean): SessionState {
  if (view.email !== null) return { is: "signed-in", email: view.email };
  return view.needsSetup ? { is: "to-set-up" } : { is: "signed-out", ended: wasIn };
}

export function SessionProvider({ client, children }: { client: Client; children: ReactNode }) {
  const [state, setState] = useState<SessionState>({ is: "asking" });
  const enter = useCallback((view: SessionView) => {
    setState((old) => stateOf(view, old.is === "signed-in"));
  }, []);
  const check = useCallback(() => {
    client.session().then(enter, (error: unknown) => {
      // Without an answer, what is shown stays: sockets say themselves that they are not connected.
      setState((old) => (old.is === "signed-in" ? old : { is: "unknown", why: explain(error) }));
    });
  }, [client, enter]);
  const signOut = useCallback(async () => {
    await client.signOut();
    setState({ is: "signed-out", ended: false });
  }, [client]);
  useEffect(() => {
    client.onSignedOut = () => setState((old) => (old.is === "signed-in" ? { is: "signed-out", ended: true } : old));
    check();
    return () => {
      client.onSignedOut = null;
    };
  }, [client, check]);
  const session = useMemo(() => ({ client, state, enter, check, signOut }), [client, state, enter, check, signOut]);
  return <Context value={session}>{children}</Context>;
}
