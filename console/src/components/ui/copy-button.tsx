// Copies a text and says so.

import { useState } from "react";
import { Button } from "./button.tsx";

export function CopyButton({ text, what }: { text: string; what: string }) {
  const [said, setSaid] = useState("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setSaid("Copied");
    } catch {
      setSaid("Select it and copy by hand");
    }
  };
  return (
    <>
      <Button icon={said === "Copied" ? "check" : "copy"} onClick={copy}>
        {said === "Copied" ? said : `Copy the ${what}`}
      </Button>
      <span className={said === "Copied" ? "sr-only" : "hint"} role="status">
        {said}
      </span>
    </>
  );
}
