// Starts the console in the page.

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Client } from "./api/client.ts";
import { App } from "./app.tsx";
import { SessionProvider } from "./features/session/session.tsx";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/shell.css";
import "./styles/pages.css";

const root = document.getElementById("root");
if (!root) throw new Error("the page has no #root");
createRoot(root).render(
  <StrictMode>
    <SessionProvider client={new Client()}>
      <App />
    </SessionProvider>
  </StrictMode>,
);
