// A question before something that cannot be taken back, in the browser's own modal dialog.

import { type ReactNode, useEffect, useId, useRef, useState } from "react";
import { explain } from "../../api/client.ts";
import { Button } from "./button.tsx";
import { Notice } from "./notice.tsx";

interface Props {
  title: string;
  children: ReactNode;
  /** The deed's name on the button, for example “Hang up”. */
  deed: string;
  /** Does it; the dialog closes when this is done and shows the error when it fails. */
  onConfirm: () => Promise<void>;
  onClose: () => void;
}

export function Confirm({ title, children, deed, onConfirm, onClose }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const confirm = async () => {
    setBusy(true);
    setError(null);
    try {
      await onConfirm();
      dialog.current?.close();
    } catch (fault) {
      setError(explain(fault));
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} className="confirm" aria-labelledby={`${id}-title`} onClose={onClose}>
      <h2 id={`${id}-title`}>{title}</h2>
      <div className="confirm-text">{children}</div>
      {error && <Notice tone="error">{error}</Notice>}
      <div className="actions end">
        <Button autoFocus onClick={() => dialog.current?.close()}>
          Cancel
        </Button>
        <Button look="danger" busy={busy} onClick={confirm}>
          {deed}
        </Button>
      </div>
    </dialog>
  );
}
