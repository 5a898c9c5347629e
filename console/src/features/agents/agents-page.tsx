// The agents: who they are, which of them is the default.

import { useState } from "react";
import { explain } from "../../api/client.ts";
import type { Agent } from "../../api/types.gen.ts";
import { useLoad } from "../../api/use-load.ts";
import { Badge } from "../../components/ui/badge.tsx";
import { Button } from "../../components/ui/button.tsx";
import { Icon } from "../../components/ui/icons.tsx";
import { Loading, Notice } from "../../components/ui/notice.tsx";
import { Page } from "../../components/ui/page.tsx";
import { Link } from "../../routing/router.tsx";
import { providerName } from "../call/words.ts";
import { useClient } from "../session/session.tsx";
import { BUILT_IN } from "./agent-draft.ts";

export function AgentsPage() {
  const client = useClient();
  const { data, error, reload } = useLoad((signal) => client.agents(signal), [client]);
  const [fault, setFault] = useState<string | null>(null);
  const [busy, setBusy] = useState<string | null>(null);
  const makeDefault = async (agent: Agent) => {
    setBusy(agent.id);
    setFault(null);
    try {
      await client.setDefaultAgent(agent.id);
    } catch (problem) {
      setFault(explain(problem));
    }
    setBusy(null);
    reload();
  };
  return (
    <Page
      title="Agents"
      lead={<p>Who speaks on your calls: the voice, what it is told and how it greets.</p>}
      actions={
        <Link className="button primary" to="/agents/new">
          <Icon name="plus" /> New agent
        </Link>
      }
    >
      {(error ?? fault) && <Notice tone="error">{error ?? fault}</Notice>}
      {!data && !error && <Loading what="the agents" />}
      {data && (
        <ul className="agents">
          {data.agents.map((agent) => (
            <li key={agent.id} className="card agent-card">
              <div className="agent-head">
                <h2>
                  <Link to={`/agents/${encodeURIComponent(agent.id)}`}>{agent.name}</Link>
                </h2>
                {agent.id === data.defaultAgent && <Badge tone="good">Default</Badge>}
                {agent.id === BUILT_IN && <Badge tone="quiet">Built in</Badge>}
              </div>
              <p className="under">
                <span className="code">{agent.id}</span> · {providerName(agent.voice.provider)}
                {agent.voice.voice && `, ${agent.voice.voice}`} · {agent.language}
              </p>
              <p className="agent-text">{summary(agent)}</p>
              {agent.id !== data.defaultAgent && (
                <Button look="quiet" busy={busy === agent.id} aria-label={`Make default: ${agent.name}`} onClick={() => void makeDefault(agent)}>
                  Make default
                </Button>
              )}
            </li>
          ))}
        </ul>
      )}
    </Page>
  );
}

function summary(agent: Agent): string {
  if (agent.voice.provider === "echo") return "Plays a short tone, then returns what the caller says: tests the line without any account.";
  return agent.greeting ?? agent.instructions.split("\n")[0] ?? "";
}
