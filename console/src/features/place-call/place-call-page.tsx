// Placing a call: a number and who speaks. One submission places one call, however often it has to be sent.

import { type FormEvent, useRef, useState } from "react";
import { ApiError, explain, Unreachable } from "../../api/client.ts";
import type { PlacedCall } from "../../api/types.gen.ts";
import { useLoad } from "../../api/use-load.ts";
import { party, readNumber } from "../../components/format.ts";
import { Button } from "../../components/ui/button.tsx";
import { Field } from "../../components/ui/field.tsx";
import { Notice } from "../../components/ui/notice.tsx";
import { Page } from "../../components/ui/page.tsx";
import { Link } from "../../routing/router.tsx";
import { useClient } from "../session/session.tsx";

type Faults = { to?: string; agent?: string; form?: string };

export function PlaceCallPage() {
  const client = useClient();
  const agents = useLoad((signal) => client.agents(signal), [client]);
  const [typed, setTyped] = useState("");
  const [agent, setAgent] = useState("");
  const [busy, setBusy] = useState(false);
  const [faults, setFaults] = useState<Faults>({});
  const [placed, setPlaced] = useState<{ to: string; answer: PlacedCall } | null>(null);
  const input = useRef<HTMLInputElement>(null);
  // The key of what the form holds: kept while the same request is tried again, new when it was answered or changed.
  const attempt = useRef<{ body: string; key: string } | null>(null);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (busy) return;
    const to = readNumber(typed);
    if (to === null) {
      setFaults({
        to: typed.trim() === "" ? "Enter the number to call." : "Begin with + and the country code, then digits only, for example +1 415 555 0100.",
      });
      input.current?.focus();
      return;
    }
    const body = { to, ...(agent ? { agent } : {}) };
    const text = JSON.stringify(body);
    if (attempt.current?.body !== text) attempt.current = { body: text, key: crypto.randomUUID() };
    setBusy(true);
    setFaults({});
    setPlaced(null);
    try {
      setPlaced({ to, answer: await client.placeCall(body, attempt.current.key) });
      attempt.current = null;
      setTyped("");
    } catch (error) {
      if (!(error instanceof Unreachable) && !(error instanceof ApiError && error.status >= 500)) attempt.current = null;
      const field = error instanceof ApiError ? error.field : null;
      setFaults(field === "to" || field === "agent" ? { [field]: explain(error) } : { form: explain(error) });
    }
    setBusy(false);
  };

  const list = agents.data?.agents ?? [];
  const standard = list.find((one) => one.id === agents.data?.defaultAgent);
  return (
    <Page title="Place a call" lead={<p>The agent calls the number and speaks with whoever answers.</p>}>
      <form className="card form" onSubmit={submit} noValidate>
        {faults.form && <Notice tone="error">{faults.form}</Notice>}
        {placed && <Placed to={placed.to} answer={placed.answer} />}
        <Field label="Number" hint="With the country code: +1 415 555 0100." error={faults.to}>
          {(control) => (
            <input
              {...control}
              ref={input}
              type="tel"
              name="to"
              autoComplete="off"
              value={typed}
              onChange={(event) => setTyped(event.target.value)}
            />
          )}
        </Field>
        <Field label="Agent" error={faults.agent ?? agents.error}>
          {(control) => (
            <select {...control} name="agent" value={agent} onChange={(event) => setAgent(event.target.value)}>
              <option value="">{standard ? `Default: ${standard.name}` : "Default"}</option>
              {list.map((one) => (
                <option key={one.id} value={one.id}>
                  {one.name}
                </option>
              ))}
            </select>
          )}
        </Field>
        <div className="actions">
          <Button type="submit" look="primary" icon="place" busy={busy}>
            Call
          </Button>
        </div>
      </form>
    </Page>
  );
}

function Placed({ to, answer }: { to: string; answer: PlacedCall }) {
  const link = <Link to={`/calls/${answer.call}`}>Open the call</Link>;
  if (answer.status === "unknown") {
    return (
      <Notice tone="warn">
        Twilio has not confirmed the call to {party(to)} yet. It may be ringing: do not place it again before its page says how it stands. {link}
      </Notice>
    );
  }
  return (
    <Notice tone={answer.success ? "good" : "warn"}>
      {answer.success ? `Calling ${party(to)}.` : `The call to ${party(to)} was not accepted.`} {link}
    </Notice>
  );
}
