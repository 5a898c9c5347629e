// Which agent answers which of our numbers.

import { type FormEvent, useState } from "react";
import { ApiError, explain } from "../../api/client.ts";
import type { Agent, AgentId, NumberView } from "../../api/types.gen.ts";
import { useLoad } from "../../api/use-load.ts";
import { party, readNumber } from "../../components/format.ts";
import { Button } from "../../components/ui/button.tsx";
import { Confirm } from "../../components/ui/confirm.tsx";
import { Field } from "../../components/ui/field.tsx";
import { Empty, Loading, Notice } from "../../components/ui/notice.tsx";
import { Page } from "../../components/ui/page.tsx";
import { useClient } from "../session/session.tsx";

export function NumbersPage() {
  const client = useClient();
  const { data, error, reload } = useLoad(
    async (signal) => {
      const [numbers, agents] = await Promise.all([client.numbers(signal), client.agents(signal)]);
      return { numbers: numbers.numbers, agents: agents.agents, standard: agents.defaultAgent };
    },
    [client],
  );
  const [fault, setFault] = useState<string | null>(null);
  const [leaving, setLeaving] = useState<NumberView | null>(null);
  const point = async (number: string, agent: AgentId) => {
    setFault(null);
    try {
      await client.pointNumber(number, agent);
    } catch (problem) {
      setFault(explain(problem));
    }
    reload();
  };
  const nameOf = (id: AgentId) => data?.agents.find((agent) => agent.id === id)?.name ?? id;
  return (
    <Page
      title="Numbers"
      lead={
        <p>
          Who answers when somebody calls one of your numbers. A number that is not listed is answered by the default agent
          {data ? `, ${nameOf(data.standard)}` : ""}.
        </p>
      }
    >
      {error && <Notice tone="error">{error}</Notice>}
      {fault && <Notice tone="error">{fault}</Notice>}
      {!data && !error && <Loading what="the numbers" />}
      {data && (
        <>
          <NewNumber agents={data.agents} standard={data.standard} known={data.numbers} onAdded={reload} />
          {data.numbers.length === 0 ? (
            <Empty title="No numbers are pointed yet" />
          ) : (
            <ul className="table-frame numbers">
              {data.numbers.map((number) => (
                <li key={number.number}>
                  <span className="numbers-number">{party(number.number)}</span>
                  <select
                    aria-label={`Agent for ${party(number.number)}`}
                    value={number.agent}
                    onChange={(event) => void point(number.number, event.target.value)}
                  >
                    <AgentOptions agents={data.agents} also={number.agent} />
                  </select>
                  <Button look="quiet" aria-label={`Remove ${party(number.number)}`} onClick={() => setLeaving(number)}>
                    Remove
                  </Button>
                </li>
              ))}
            </ul>
          )}
        </>
      )}
      {leaving && (
        <Confirm
          title={`Remove ${party(leaving.number)}?`}
          deed="Remove"
          onClose={() => setLeaving(null)}
          onConfirm={async () => {
            await client.releaseNumber(leaving.number);
            reload();
          }}
        >
          <p>Calls to this number are answered by the default agent from then on. Nothing changes at Twilio.</p>
        </Confirm>
      )}
    </Page>
  );
}

function AgentOptions({ agents, also }: { agents: readonly Agent[]; also?: AgentId }) {
  const unknown = also !== undefined && !agents.some((agent) => agent.id === also);
  return (
    <>
      {unknown && <option value={also}>{also} (deleted)</option>}
      {agents.map((agent) => (
        <option key={agent.id} value={agent.id}>
          {agent.name}
        </option>
      ))}
    </>
  );
}

interface NewNumberProps {
  agents: readonly Agent[];
  standard: AgentId;
  known: readonly NumberView[];
  onAdded: () => void;
}

function NewNumber({ agents, standard, known, onAdded }: NewNumberProps) {
  const client = useClient();
  const [typed, setTyped] = useState("");
  const [agent, setAgent] = useState(standard);
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<{ number?: string; form?: string }>({});
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (busy) return;
    const number = readNumber(typed);
    if (number === null) {
      setFault({ number: "Begin with + and the country code, for example +1 415 555 0100." });
      return;
    }
    if (known.some((one) => one.number === number)) {
      setFault({ number: "This number is in the list already: choose its agent there." });
      return;
    }
    setBusy(true);
    setFault({});
    try {
      await client.pointNumber(number, agent);
      setTyped("");
      onAdded();
    } catch (error) {
      const own = error instanceof ApiError && error.field === "number";
      setFault(own ? { number: explain(error) } : { form: explain(error) });
    }
    setBusy(false);
  };
  return (
    <form className="inline-form" onSubmit={submit} noValidate>
      {fault.form && <Notice tone="error">{fault.form}</Notice>}
      <Field label="Number" error={fault.number}>
        {(control) => (
          <input {...control} type="tel" name="number" autoComplete="off" placeholder="+1 415 555 0100" value={typed} onChange={(event) => setTyped(event.target.value)} />
        )}
      </Field>
      <Field label="Answered by">
        {(control) => (
          <select {...control} name="agent" value={agent} onChange={(event) => setAgent(event.target.value)}>
            <AgentOptions agents={agents} />
          </select>
        )}
      </Field>
      <Button type="submit" look="primary" icon="plus" busy={busy}>
        Add
      </Button>
    </form>
  );
}
