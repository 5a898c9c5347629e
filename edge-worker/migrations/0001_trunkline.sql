-- Trunkline's D1 database: the history (a projection of the rooms) and the configuration (of which it is the truth).
-- Times are unix milliseconds. The statements that use these tables stand in edge-worker/core, whose tests run this file.

CREATE TABLE calls (
  call TEXT PRIMARY KEY,
  call_sid TEXT,
  direction TEXT NOT NULL,
  from_party TEXT NOT NULL,
  to_party TEXT NOT NULL,
  agent TEXT,
  opened_at INTEGER NOT NULL,
  answered_at INTEGER,
  ended_at INTEGER,
  duration_s INTEGER,
  status TEXT NOT NULL,
  reason TEXT,
  -- JSON: CallState, and the list of TranscriptLine.
  state TEXT NOT NULL,
  transcript TEXT NOT NULL,
  -- Over, and nothing that was said is still on its way.
  settled INTEGER NOT NULL,
  -- The room's version of this row; a lower one never replaces a higher one.
  version INTEGER NOT NULL
);
CREATE INDEX calls_by_time ON calls (opened_at DESC, call DESC);
CREATE INDEX calls_by_sid ON calls (call_sid);

CREATE TABLE configuration (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  version INTEGER NOT NULL,
  default_agent TEXT
);
INSERT INTO configuration (id, version, default_agent) VALUES (1, 1, NULL);

CREATE TABLE agents (
  id TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  -- JSON: Agent.
  agent TEXT NOT NULL
);

CREATE TABLE numbers (
  number TEXT PRIMARY KEY,
  agent TEXT NOT NULL
);

CREATE TABLE users (
  id TEXT PRIMARY KEY,
  email TEXT NOT NULL UNIQUE,
  -- PHC string.
  password TEXT NOT NULL,
  created_at INTEGER NOT NULL
);

CREATE TABLE sessions (
  -- SHA-256 of the cookie, hexadecimal.
  hash TEXT PRIMARY KEY,
  -- The session's public name, part of its client identity.
  tag TEXT NOT NULL UNIQUE,
  user TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user, created_at);

CREATE TABLE keys (
  id TEXT PRIMARY KEY,
  -- SHA-256 of the key, hexadecimal.
  hash TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  last4 TEXT NOT NULL,
  created_at INTEGER NOT NULL
);
