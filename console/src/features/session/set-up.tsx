// Making the first administrator, once, with the deployment's setup token.

import { type FormEvent, useState } from "react";
import { ApiError, explain } from "../../api/client.ts";
import { Button } from "../../components/ui/button.tsx";
import { Field } from "../../components/ui/field.tsx";
import { Notice } from "../../components/ui/notice.tsx";
import { Entrance } from "./entrance.tsx";
import { useSession } from "./session.tsx";

type Faults = { token?: string; email?: string; password?: string; form?: string };

/** What is wrong before anything is sent. */
function faultsOf(token: string, email: string, password: string): Faults {
  const faults: Faults = {};
  const length = [...password].length;
  if (token.trim() === "") faults.token = "Enter the setup token.";
  if (!/^[^\s@]+@[^\s@]+$/.test(email.trim())) faults.email = "Enter an e-mail address.";
  if (length < 12) faults.password = "Use at least 12 characters.";
  else if (length > 128) faults.password = "Use at most 128 characters.";
  return faults;
}

export function SetUp() {
  const { client, enter, check } = useSession();
  const [token, setToken] = useState("");
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [shown, setShown] = useState(false);
  const [busy, setBusy] = useState(false);
  const [faults, setFaults] = useState<Faults>({});
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (busy) return;
    const found = faultsOf(token, email, password);
    setFaults(found);
    if (Object.keys(found).length > 0) return;
    setBusy(true);
    try {
      enter(await client.setUp({ token: token.trim(), email: email.trim(), password }));
    } catch (error) {
      setBusy(false);
      if (error instanceof ApiError && error.status === 409) check();
      else if (error instanceof ApiError && error.status === 403) setFaults({ token: explain(error) });
      else if (error instanceof ApiError && (error.field === "email" || error.field === "password" || error.field === "token")) {
        setFaults({ [error.field]: explain(error) });
      } else setFaults({ form: explain(error) });
    }
  };
  return (
    <Entrance
      title="Set up this line"
      lead={
        <p>
          You are the first one here. Make the administrator’s account with the setup token of this deployment: the value of{" "}
          <code>SETUP_TOKEN</code>.
        </p>
      }
    >
      <form onSubmit={submit} noValidate>
        {faults.form && <Notice tone="error">{faults.form}</Notice>}
        <Field label="Setup token" error={faults.token}>
          {(control) => (
            <input
              {...control}
              name="token"
              autoComplete="off"
              autoCapitalize="none"
              spellCheck={false}
              autoFocus
              value={token}
              onChange={(event) => setToken(event.target.value)}
            />
          )}
        </Field>
        <Field label="Your e-mail" error={faults.email}>
          {(control) => (
            <input
              {...control}
              type="email"
              name="email"
              autoComplete="username"
              value={email}
              onChange={(event) => setEmail(event.target.value)}
            />
          )}
        </Field>
        <Field label="Password" hint="12 characters or more. A few words that only you put together are good." error={faults.password}>
          {(control) => (
            <input
              {...control}
              type={shown ? "text" : "password"}
              name="password"
              autoComplete="new-password"
              value={password}
              onChange={(event) => setPassword(event.target.value)}
            />
          )}
        </Field>
        <label className="check">
          <input type="checkbox" checked={shown} onChange={(event) => setShown(event.target.checked)} /> Show the password
        </label>
        <Button type="submit" look="primary" busy={busy}>
          Create administrator
        </Button>
      </form>
    </Entrance>
  );
}
