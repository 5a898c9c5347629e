// One agent: making it, changing it, taking it away.

import { type FormEvent, type ReactNode, useEffect, useState } from "react";
import { ApiError, explain } from "../../api/client.ts";
import type { Agent } from "../../api/types.gen.ts";
import { useLoad } from "../../api/use-load.ts";
import { Button } from "../../components/ui/button.tsx";
import { Confirm } from "../../components/ui/confirm.tsx";
import { Field } from "../../components/ui/field.tsx";
import { Icon } from "../../components/ui/icons.tsx";
import { Empty, Loading, Notice } from "../../components/ui/notice.tsx";
import { Page } from "../../components/ui/page.tsx";
import { Link, navigate } from "../../routing/router.tsx";
import { providerName } from "../call/words.ts";
import { useClient } from "../session/session.tsx";
import {
  type AgentDraft,
  BUILT_IN,
  draftOf,
  type Faults,
  idFor,
  NEW_AGENT,
  NEW_VOICE,
  readDraft,
  type VoiceDraft,
} from "./agent-draft.ts";

const back = (
  <Link className="back" to="/agents">
    <Icon name="back" /> Agents
  </Link>
);

export function NewAgentPage() {
  const client = useClient();
  const { data, error } = useLoad((signal) => client.agents(signal), [client]);
  const taken = data?.agents.map((agent) => agent.id) ?? [];
  return (
    <Page title="New agent" above={back}>
      {error && <Notice tone="error">{error}</Notice>}
      <AgentForm start={NEW_AGENT} version={0} taken={taken} isNew />
    </Page>
  );
}

export function AgentPage({ id }: { id: string }) {
  const client = useClient();
  const { data, error, reload } = useLoad((signal) => client.agents(signal), [client, id]);
  const agent = data?.agents.find((one) => one.id === id);
  if (!agent) {
    return (
      <Page title="Agent" above={back}>
        {error ? <Notice tone="error">{error}</Notice> : data ? <Empty title="There is no such agent" /> : <Loading what="the agent" />}
      </Page>
    );
  }
  return (
    <Page
      title={agent.name}
      above={back}
      lead={agent.id === BUILT_IN ? <p>This agent is built in: it plays a short tone, then returns what the caller says. It cannot be changed.</p> : null}
    >
      {agent.id === BUILT_IN ? (
        <BuiltIn agent={agent} />
      ) : (
        <AgentForm
          start={draftOf(agent)}
          version={agent.version}
          taken={[]}
          isDefault={data?.defaultAgent === id}
          onSaved={reload}
        />
      )}
    </Page>
  );
}

function BuiltIn({ agent }: { agent: Agent }) {
  return (
    <dl className="details card">
      <div>
        <dt>Id</dt>
        <dd className="code">{agent.id}</dd>
      </div>
      <div>
        <dt>Voice</dt>
        <dd>{providerName(agent.voice.provider)}</dd>
      </div>
      <div>
        <dt>Longest call</dt>
        <dd>{agent.limits.maxDurationS} s</dd>
      </div>
      <div>
        <dt>Ends after silence of</dt>
        <dd>{agent.limits.silenceS} s</dd>
      </div>
    </dl>
  );
}

interface FormProps {
  start: AgentDraft;
  version: number;
  taken: readonly string[];
  isNew?: boolean;
  isDefault?: boolean;
  onSaved?: () => void;
}

function AgentForm({ start, version, taken, isNew = false, isDefault = false, onSaved }: FormProps) {
  const client = useClient();
  const [draft, setDraft] = useState(start);
  const [faults, setFaults] = useState<Faults>({});
  const [busy, setBusy] = useState(false);
  const [saved, setSaved] = useState(false);
  const [ownId, setOwnId] = useState(!isNew);
  const [leaving, setLeaving] = useState(false);
  const set = (part: Partial<AgentDraft>) => {
    setDraft((old) => ({ ...old, ...part }));
    setSaved(false);
  };

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (busy) return;
    const read = readDraft(draft, version);
    if ("faults" in read) {
      setFaults(read.faults);
      return;
    }
    if (taken.includes(draft.id)) {
      setFaults({ id: "Another agent has this id already." });
      return;
    }
    setBusy(true);
    setFaults({});
    try {
      await client.saveAgent(read.agent);
      if (isNew) {
        navigate("/agents", { replace: true });
        return;
      }
      setSaved(true);
      onSaved?.();
    } catch (error) {
      const field = error instanceof ApiError ? error.field : null;
      setFaults({ [field !== null && FIELDS.has(field) ? field : "form"]: explain(error) });
    }
    setBusy(false);
  };

  return (
    <form className="card form agent-form" onSubmit={submit} noValidate>
      <FaultSummary faults={faults} />
      {saved && <Notice tone="good">Saved. Calls that begin from now on use it.</Notice>}
      <fieldset>
        <legend>Who it is</legend>
        <div className="pair">
          <Text label="Name" value={draft.name} error={faults["name"]} onChange={(name) => set({ name, ...(ownId ? {} : { id: idFor(name) }) })} />
          {isNew ? (
            <Text
              label="Id"
              hint="Its name in addresses and in the API. It cannot be changed later."
              value={draft.id}
              error={faults["id"]}
              onChange={(id) => {
                setOwnId(id !== "");
                set({ id });
              }}
            />
          ) : (
            <Field label="Id">{(control) => <input {...control} value={draft.id} readOnly />}</Field>
          )}
        </div>
        <Text label="Language" hint="A language tag such as en-US or de-DE." value={draft.language} error={faults["language"]} onChange={(language) => set({ language: language.trim() })} />
      </fieldset>
      <fieldset>
        <legend>What it says</legend>
        <Long label="Greeting" hint="Said first. Leave it empty to let the caller speak first." rows={2} value={draft.greeting} error={faults["greeting"]} onChange={(greeting) => set({ greeting })} />
        <Long
          label="Instructions"
          hint={`What it should do, know and avoid. ${[...draft.instructions].length.toLocaleString()} of 16,000 characters.`}
          rows={10}
          value={draft.instructions}
          error={faults["instructions"]}
          onChange={(instructions) => set({ instructions })}
        />
      </fieldset>
      <fieldset>
        <legend>Voice</legend>
        {faults["voice"] && <Notice tone="error">{faults["voice"]}</Notice>}
        <Voice at="voice" draft={draft.voice} faults={faults} onChange={(voice) => set({ voice })} />
      </fieldset>
      <fieldset>
        <legend>When the voice is unavailable</legend>
        <label className="check">
          <input type="checkbox" checked={draft.fallback !== null} onChange={(event) => set({ fallback: event.target.checked ? NEW_VOICE : null })} />
          Use another voice instead
        </label>
        {faults["fallback"] && <Notice tone="error">{faults["fallback"]}</Notice>}
        {draft.fallback && <Voice at="fallback" draft={draft.fallback} faults={faults} onChange={(fallback) => set({ fallback })} />}
      </fieldset>
      <fieldset>
        <legend>Limits of one call</legend>
        <div className="pair">
          <Text label="Longest call, seconds" numeric value={draft.maxDurationS} error={faults["limits.maxDurationS"]} onChange={(maxDurationS) => set({ maxDurationS })} />
          <Text label="Ends after silence of, seconds" numeric value={draft.silenceS} error={faults["limits.silenceS"]} onChange={(silenceS) => set({ silenceS })} />
        </div>
      </fieldset>
      <div className="actions">
        <Button type="submit" look="primary" busy={busy}>
          {isNew ? "Create agent" : "Save changes"}
        </Button>
        {!isNew && !isDefault && (
          <Button look="quiet" onClick={() => setLeaving(true)}>
            Delete agent
          </Button>
        )}
      </div>
      {leaving && (
        <Confirm
          title={`Delete “${start.name}”?`}
          deed="Delete"
          onClose={() => setLeaving(false)}
          onConfirm={async () => {
            await client.deleteAgent(start.id);
            navigate("/agents", { replace: true });
          }}
        >
          <p>Its calls stay in the history. An agent that still answers a number cannot be deleted: give that number another one first.</p>
        </Confirm>
      )}
    </form>
  );
}

const FIELDS = new Set(["id", "name", "language", "greeting", "instructions", "voice", "fallback", "limits.maxDurationS", "limits.silenceS"]);

function FaultSummary({ faults }: { faults: Faults }) {
  const count = Object.keys(faults).filter((field) => field !== "form").length;
  const form = faults["form"];
  useEffect(() => {
    if (count > 0) document.querySelector<HTMLElement>(".agent-form [aria-invalid=true]")?.focus();
  }, [faults, count]);
  if (form) return <Notice tone="error">{form}</Notice>;
  if (count === 0) return null;
  return <Notice tone="error">{count === 1 ? "One field needs another look." : `${count} fields need another look.`}</Notice>;
}

interface TextProps {
  label: string;
  hint?: ReactNode;
  value: string;
  error?: string | undefined;
  numeric?: boolean;
  options?: readonly string[];
  onChange: (value: string) => void;
}

function Text({ label, hint, value, error, numeric = false, options, onChange }: TextProps) {
  return (
    <Field label={label} hint={hint} error={error}>
      {(control) => (
        <>
          <input
            {...control}
            inputMode={numeric ? "decimal" : undefined}
            autoComplete="off"
            list={options ? `${control.id}-options` : undefined}
            value={value}
            onChange={(event) => onChange(event.target.value)}
          />
          {options && (
            <datalist id={`${control.id}-options`}>
              {options.map((option) => (
                <option key={option} value={option} />
              ))}
            </datalist>
          )}
        </>
      )}
    </Field>
  );
}

function Long({ label, hint, value, error, rows, onChange }: TextProps & { rows: number }) {
  return (
    <Field label={label} hint={hint} error={error}>
      {(control) => <textarea {...control} rows={rows} value={value} onChange={(event) => onChange(event.target.value)} />}
    </Field>
  );
}

const PROVIDERS = ["openai", "echo"];
const OPENAI_VOICES = ["marin", "cedar", "alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse"];

interface VoiceProps {
  at: "voice" | "fallback";
  draft: VoiceDraft;
  faults: Faults;
  onChange: (draft: VoiceDraft) => void;
}

function Voice({ at, draft, faults, onChange }: VoiceProps) {
  const set = (part: Partial<VoiceDraft>) => onChange({ ...draft, ...part });
  const providers = PROVIDERS.includes(draft.provider) ? PROVIDERS : [...PROVIDERS, draft.provider];
  return (
    <>
      <Field label="Provider" error={faults[`${at}.provider`]}>
        {(control) => (
          <select {...control} value={draft.provider} onChange={(event) => set({ provider: event.target.value })}>
            {providers.map((provider) => (
              <option key={provider} value={provider}>
                {provider === "echo" ? "Line test (returns the caller’s audio)" : provider === "openai" ? "OpenAI Realtime" : providerName(provider)}
              </option>
            ))}
          </select>
        )}
      </Field>
      {draft.provider !== "echo" && (
        <>
          <div className="pair">
            <Text label="Model" hint="Empty: the provider’s current one." value={draft.model} error={faults[`${at}.model`]} onChange={(model) => set({ model })} />
            <Text
              label="Voice"
              hint="Empty: the provider’s standard voice."
              value={draft.voice}
              error={faults[`${at}.voice`]}
              {...(draft.provider === "openai" ? { options: OPENAI_VOICES } : {})}
              onChange={(voice) => set({ voice })}
            />
          </div>
          <Field label="The caller’s turn is over">
            {(control) => (
              <select {...control} value={draft.turns} onChange={({ target }) => set({ turns: target.value === "semantic_vad" ? "semantic_vad" : "server_vad" })}>
                <option value="server_vad">after a silence</option>
                <option value="semantic_vad">when the sentence sounds finished</option>
              </select>
            )}
          </Field>
          {draft.turns === "server_vad" ? (
            <div className="triple">
              <Text label="Silence, ms" numeric value={draft.silenceMs} error={faults[`${at}.silenceMs`]} onChange={(silenceMs) => set({ silenceMs })} />
              <Text label="Kept before speech, ms" numeric value={draft.prefixMs} error={faults[`${at}.prefixMs`]} onChange={(prefixMs) => set({ prefixMs })} />
              <Text label="Loudness, 0 to 1" numeric value={draft.threshold} error={faults[`${at}.threshold`]} onChange={(threshold) => set({ threshold })} />
            </div>
          ) : (
            <Field label="Eagerness to answer">
              {(control) => (
                <select {...control} value={draft.eagerness} onChange={(event) => set({ eagerness: event.target.value })}>
                  <option value="auto">Automatic</option>
                  <option value="low">Low: waits longer</option>
                  <option value="medium">Medium</option>
                  <option value="high">High: answers soon</option>
                </select>
              )}
            </Field>
          )}
        </>
      )}
    </>
  );
}
