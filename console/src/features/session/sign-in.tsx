// Signing in.

import { type FormEvent, useState } from "react";
import { explain } from "../../api/client.ts";
import { Button } from "../../components/ui/button.tsx";
import { Field } from "../../components/ui/field.tsx";
import { Notice } from "../../components/ui/notice.tsx";
import { Entrance } from "./entrance.tsx";
import { useSession } from "./session.tsx";

export function SignIn({ ended }: { ended: boolean }) {
  const { client, enter } = useSession();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (busy) return;
    if (email.trim() === "" || password === "") {
      setError("Enter your e-mail address and your password.");
      return;
    }
    setBusy(true);
    setError(null);
    try {
      enter(await client.signIn({ email: email.trim(), password }));
    } catch (fault) {
      setError(explain(fault));
      setPassword("");
      setBusy(false);
    }
  };
  return (
    <Entrance title="Sign in" lead={<p>Live calls, transcripts and settings of this line.</p>}>
      <form onSubmit={submit} noValidate>
        {error ? (
          <Notice tone="error">{error}</Notice>
        ) : (
          ended && <Notice tone="info">Your session has ended. Sign in again to go on where you were.</Notice>
        )}
        <Field label="E-mail">
          {(control) => (
            <input
              {...control}
              type="email"
              name="email"
              autoComplete="username"
              autoFocus
              value={email}
              onChange={(event) => setEmail(event.target.value)}
            />
          )}
        </Field>
        <Field label="Password">
          {(control) => (
            <input
              {...control}
              type="password"
              name="password"
              autoComplete="current-password"
              value={password}
              onChange={(event) => setPassword(event.target.value)}
            />
          )}
        </Field>
        <Button type="submit" look="primary" busy={busy}>
          Sign in
        </Button>
      </form>
    </Entrance>
  );
}
