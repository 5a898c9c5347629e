// Catches what a page throws while it is drawn, and parts of the console that cannot be fetched any more because a newer
// version was deployed meanwhile.

import { Component, type ReactNode } from "react";
import { Button } from "./ui/button.tsx";
import { Notice } from "./ui/notice.tsx";

export class ErrorBoundary extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError(): { failed: boolean } {
    return { failed: true };
  }

  override render(): ReactNode {
    if (!this.state.failed) return this.props.children;
    return (
      <>
        <h1>This page could not be shown</h1>
        <Notice tone="error">Either the console was renewed since it was opened, or the page has a fault. Reload it to go on.</Notice>
        <div className="actions">
          <Button look="primary" icon="refresh" onClick={() => location.reload()}>
            Reload
          </Button>
        </div>
      </>
    );
  }
}
