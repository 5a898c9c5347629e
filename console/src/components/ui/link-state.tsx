// How the page's live connection stands, in one word.

import type { SocketState } from "../../api/live-socket.ts";

const WORDS: Readonly<Record<SocketState["is"], readonly [word: string, look: string]>> = {
  connecting: ["Connecting", "waiting"],
  live: ["Live", "live"],
  waiting: ["Reconnecting", "waiting"],
  paused: ["Offline", "quiet"],
  closed: ["Not live", "quiet"],
};

export function LinkState({ state }: { state: SocketState }) {
  const [word, look] = WORDS[state.is];
  return (
    <span className={`link-state ${look}`} role="status">
      {word}
    </span>
  );
}
