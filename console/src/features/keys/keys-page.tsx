// API keys: made once, shown once, taken away.

import { type FormEvent, useState } from "react";
import { ApiError, explain } from "../../api/client.ts";
import type { CreatedKey, KeyView } from "../../api/types.gen.ts";
import { useLoad } from "../../api/use-load.ts";
import { exactly, moment } from "../../components/format.ts";
import { Button } from "../../components/ui/button.tsx";
import { Confirm } from "../../components/ui/confirm.tsx";
import { CopyButton } from "../../components/ui/copy-button.tsx";
import { Field } from "../../components/ui/field.tsx";
import { Empty, Loading, Notice } from "../../components/ui/notice.tsx";
import { Page } from "../../components/ui/page.tsx";
import { useNow } from "../../components/use-now.ts";
import { useClient } from "../session/session.tsx";

export function KeysPage() {
  const client = useClient();
  const { data, error, reload } = useLoad((signal) => client.keys(signal), [client]);
  const [created, setCreated] = useState<CreatedKey | null>(null);
  const [leaving, setLeaving] = useState<KeyView | null>(null);
  const now = useNow(false);
  return (
    <Page
      title="API keys"
      lead={<p>Programs send a key as a bearer token to place calls and read the history. Whoever has one can do all that.</p>}
    >
      {created && (
        <div className="card new-key" role="status">
          <h2>“{created.view.name}” is ready</h2>
          <p>Copy the key now. It is not shown again.</p>
          <div className="secret">
            <code>{created.key}</code>
            <CopyButton text={created.key} what="key" />
          </div>
          <Button onClick={() => setCreated(null)}>I have stored it</Button>
        </div>
      )}
      <NewKey
        onCreated={(key) => {
          setCreated(key);
          reload();
        }}
      />
      {error && <Notice tone="error">{error}</Notice>}
      {!data && !error && <Loading what="the keys" />}
      {data?.keys.length === 0 && <Empty title="No API keys" />}
      {data && data.keys.length > 0 && (
        <div className="table-frame">
          <table className="rows">
            <caption className="sr-only">API keys</caption>
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col">Key</th>
                <th scope="col" className="wide">
                  Created
                </th>
                <th scope="col">
                  <span className="sr-only">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {data.keys.map((key) => (
                <tr key={key.id}>
                  <th scope="row">{key.name}</th>
                  <td className="code">…{key.last4}</td>
                  <td className="wide">
                    <time dateTime={key.createdAt} title={exactly(key.createdAt)}>
                      {moment(key.createdAt, now)}
                    </time>
                  </td>
                  <td className="row-actions">
                    <Button look="quiet" aria-label={`Delete the key ${key.name}`} onClick={() => setLeaving(key)}>
                      Delete
                    </Button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {leaving && (
        <Confirm
          title={`Delete “${leaving.name}”?`}
          deed="Delete"
          onClose={() => setLeaving(null)}
          onConfirm={async () => {
            await client.deleteKey(leaving.id);
            if (created?.view.id === leaving.id) setCreated(null);
            reload();
          }}
        >
          <p>Programs that use this key are refused from then on.</p>
        </Confirm>
      )}
    </Page>
  );
}

function NewKey({ onCreated }: { onCreated: (key: CreatedKey) => void }) {
  const client = useClient();
  const [name, setName] = useState("");
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<{ name?: string; form?: string }>({});
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (busy) return;
    if (name.trim() === "" || [...name.trim()].length > 120) {
      setFault({ name: "Say in 1 to 120 characters what the key is for." });
      return;
    }
    setBusy(true);
    setFault({});
    try {
      onCreated(await client.createKey(name.trim()));
      setName("");
    } catch (error) {
      const own = error instanceof ApiError && error.field === "name";
      setFault(own ? { name: explain(error) } : { form: explain(error) });
    }
    setBusy(false);
  };
  return (
    <form className="inline-form" onSubmit={submit} noValidate>
      {fault.form && <Notice tone="error">{fault.form}</Notice>}
      <Field label="What is the key for?" error={fault.name}>
        {(control) => (
          <input {...control} name="name" autoComplete="off" value={name} onChange={(event) => setName(event.target.value)} />
        )}
      </Field>
      <Button type="submit" look="primary" icon="plus" busy={busy}>
        Create a key
      </Button>
    </form>
  );
}
