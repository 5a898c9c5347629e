// A live socket as React state: opened with the page, folded into a view, closed with the page. The view is kept in a ref
// as well, so that a new connection continues from the last fact and not from the last rendering.

import { useEffect, useRef, useState } from "react";
import { useSession } from "../features/session/session.tsx";
import { LiveSocket, type SocketState, type Verdict } from "./live-socket.ts";

interface Live<View, Message> {
  /** What the page starts from. */
  initial: View;
  /** The address for the next connection. */
  url(view: View): string;
  reduce(view: View, message: Message): View;
  /** What the view wants after a message. */
  verdict(view: View): Verdict;
}

/** After so many refused attempts the session is asked for: a refused handshake does not say why. */
const DOUBTFUL_ATTEMPTS = 2;

export function useLive<View, Message extends { type: string }>(
  key: string,
  live: Live<View, Message>,
): { view: View; socket: SocketState } {
  const { check } = useSession();
  const [view, setView] = useState(live.initial);
  const [socket, setSocket] = useState<SocketState>({ is: "connecting" });
  const latest = useRef(live);
  latest.current = live;
  useEffect(() => {
    let current = latest.current.initial;
    setView(current);
    const connection = new LiveSocket<Message>({
      url: () => latest.current.url(current),
      onMessage: (message) => {
        const next = latest.current.reduce(current, message);
        if (next !== current) {
          current = next;
          setView(next);
        }
        return latest.current.verdict(next);
      },
      onState: (state) => {
        setSocket(state);
        if (state.is === "closed" && state.why === "signed_out") check();
      },
      onTrouble: (attempts) => {
        if (attempts % DOUBTFUL_ATTEMPTS === 0) check();
      },
    });
    return () => connection.stop();
  }, [key, check]);
  return { view, socket };
}
