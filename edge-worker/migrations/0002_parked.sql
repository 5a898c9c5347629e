-- Reports of Twilio's that their room could not take at once: kept here until it has them. A report stands once.
CREATE TABLE parked (
  -- SHA-256 of call and report, hexadecimal.
  id TEXT PRIMARY KEY,
  call TEXT NOT NULL,
  -- JSON: Report.
  report TEXT NOT NULL,
  parked_at INTEGER NOT NULL
);
CREATE INDEX parked_by_time ON parked (parked_at, id);
