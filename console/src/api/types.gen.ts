// Generated from the `shared` crate by `cargo xtask gen-types`. Do not edit.

export const PROTOCOL_VERSION = 1;
export const MAX_CLIENT_MESSAGE_BYTES = 4096;
export const CLOSE_UNKNOWN_CALL = 4404;
export const CLOSE_TOO_SLOW = 4408;
export const CLOSE_SIGNED_OUT = 4401;

/**
 * An agent as stored, mirrored to the Switchboard and sent to the node in the plan.
 */
export type Agent = {
/**
 * Its name in addresses and configuration.
 */
id: AgentId,
/**
 * Raised with every change; the highest wins in mirrors.
 */
version: number,
/**
 * What people call it.
 */
name: string,
/**
 * Who speaks for it.
 */
voice: VoicePlan,
/**
 * Who speaks when the first is unavailable.
 */
fallback: VoicePlan | null,
/**
 * The system instructions; at most [`Agent::MAX_TEXT`] characters.
 */
instructions: string,
/**
 * What it says first; none: it waits for the caller (`echo`: its tone).
 */
greeting: string | null,
/**
 * BCP 47, for example `en-US`.
 */
language: string,
/**
 * Bounds of one call.
 */
limits: Limits, };

/**
 * An agent's name in addresses and configuration: letters, digits, `-`, `_`, `.`, at most 64.
 */
export type AgentId = string;

/**
 * `GET /api/agents`. `GET`, `PUT` and `DELETE /api/agents/{id}` carry one [`Agent`].
 */
export type AgentList = {
/**
 * All of them, the built-in line test included.
 */
agents: Array<Agent>,
/**
 * Who answers where nothing else is said.
 */
defaultAgent: AgentId, };

/**
 * A live call on the board.
 */
export type BoardCall = {
/**
 * Ours.
 */
call: CallId,
/**
 * Twilio's.
 */
callSid: CallSid | null,
/**
 * Which way.
 */
direction: Direction,
/**
 * Twilio's `From`.
 */
from: Party,
/**
 * Twilio's `To`.
 */
to: Party,
/**
 * Who answers.
 */
agent: AgentId | null,
/**
 * Where it stands, in Twilio's words.
 */
status: CallStatus,
/**
 * Who carries the media.
 */
node: NodeId | null,
/**
 * When the room was opened.
 */
openedAt: UnixMillis,
/**
 * When it was answered.
 */
answeredAt: UnixMillis | null,
/**
 * Raised by the room with each report; of two reports the higher wins.
 */
version: number, };

/**
 * To a browser that watches the board.
 */
export type BoardMessage = { "type": "board",
/**
 * [`PROTOCOL_VERSION`].
 */
protocol: number,
/**
 * Every live call.
 */
calls: Array<BoardCall>,
/**
 * Every node known.
 */
nodes: Array<NodeView>, } | { "type": "call",
/**
 * It.
 */
call: BoardCall, } | { "type": "gone",
/**
 * Which.
 */
call: CallId, } | { "type": "nodes",
/**
 * All of them.
 */
nodes: Array<NodeView>, };

/**
 * `GET /api/calls/{sid}`.
 */
export type CallDetail = {
/**
 * As in the list.
 */
call: CallRow,
/**
 * Everything its events add up to.
 */
state: CallState,
/**
 * What was said.
 */
transcript: Array<TranscriptLine>, };

/**
 * Something that was reported about a call's life.
 */
export type CallEvent = { "kind": "status",
/**
 * The status.
 */
status: CallStatus,
/**
 * When it was so, by the reporter's clock.
 */
at: UnixMillis,
/**
 * Seconds from answer to end, when the reporter knows.
 */
durationS: number | null,
/**
 * The SIP answer code of a terminal status.
 */
sipCode: number | null, } | { "kind": "stream",
/**
 * Which.
 */
streamSid: StreamSid,
/**
 * How far it is.
 */
phase: StreamPhase, } | { "kind": "recording",
/**
 * Which.
 */
recordingSid: RecordingSid,
/**
 * How far it is.
 */
phase: RecordingPhase,
/**
 * Its length in seconds, when complete.
 */
durationS: number | null, } | { "kind": "transcription",
/**
 * Which.
 */
transcriptionSid: TranscriptionSid,
/**
 * How far it is.
 */
phase: TranscriptionPhase, } | { "kind": "ended",
/**
 * Why.
 */
reason: EndReason,
/**
 * When, by the reporter's clock.
 */
at: UnixMillis, };

/**
 * A stored fact of a call.
 */
export type CallFact = { "type": "opened",
/**
 * Which way.
 */
direction: Direction,
/**
 * Twilio's `From`.
 */
from: Party,
/**
 * Twilio's `To`.
 */
to: Party,
/**
 * Who answers, if an agent does.
 */
agent: AgentId | null, } | { "type": "bound",
/**
 * It.
 */
callSid: CallSid, } | { "type": "life",
/**
 * How.
 */
event: CallEvent, } | { "type": "owner",
/**
 * Who.
 */
node: NodeId,
/**
 * The epoch it began.
 */
epoch: Epoch, } | { "type": "node",
/**
 * The epoch of the report.
 */
epoch: Epoch,
/**
 * The node's line.
 */
line: number,
/**
 * What happened.
 */
event: NodeEvent, } | { "type": "transcribed",
/**
 * Which transcription.
 */
transcriptionSid: TranscriptionSid,
/**
 * Which side.
 */
track: Track,
/**
 * Twilio's `SequenceId`.
 */
sequence: number,
/**
 * The text.
 */
text: string,
/**
 * Twilio's `Timestamp`.
 */
at: UnixMillis, };

/**
 * Trunkline's own name of a call: `call_` and 26 characters of Crockford's base 32 in lower case (128 bits). Ids made by
 * [`CallId::new`] sort by time. It stands in every callback URL as `?call=` and names the call's room.
 */
export type CallId = string;

/**
 * `GET /api/calls`: newest first.
 */
export type CallPage = {
/**
 * At most `limit` of them.
 */
calls: Array<CallRow>,
/**
 * Give it back as `cursor` for the next page; null: there is none.
 */
nextCursor: string | null, };

/**
 * A call in the history.
 */
export type CallRow = {
/**
 * Ours.
 */
call: CallId,
/**
 * Twilio's.
 */
callSid: CallSid | null,
/**
 * Which way.
 */
direction: Direction,
/**
 * Twilio's `From`.
 */
from: Party,
/**
 * Twilio's `To`.
 */
to: Party,
/**
 * Who answered.
 */
agent: AgentId | null,
/**
 * When the room was opened, RFC 3339.
 */
openedAt: string,
/**
 * When it was answered, RFC 3339.
 */
answeredAt: string | null,
/**
 * When it ended, RFC 3339.
 */
endedAt: string | null,
/**
 * Seconds connected.
 */
durationS: number | null,
/**
 * Where it stands, in Twilio's words.
 */
status: CallStatus,
/**
 * The verdict.
 */
termination: Termination | null, };

/**
 * A Twilio call leg, `CA` and 32 hexadecimal digits.
 */
export type CallSid = string;

/**
 * Everything that a page about one call shows.
 */
export type CallSnapshot = {
/**
 * Ours.
 */
call: CallId,
/**
 * Twilio's, once known.
 */
callSid: CallSid | null,
/**
 * Which way.
 */
direction: Direction,
/**
 * Twilio's `From`.
 */
from: Party,
/**
 * Twilio's `To`.
 */
to: Party,
/**
 * Who answers.
 */
agent: AgentId | null,
/**
 * When the room was opened.
 */
openedAt: UnixMillis,
/**
 * Its life so far.
 */
state: CallState,
/**
 * Who carries the media: node and epoch.
 */
node: NodeId | null,
/**
 * The current epoch.
 */
epoch: Epoch,
/**
 * What has been said.
 */
transcript: Array<TranscriptLine>,
/**
 * The last fact that this snapshot contains; 0: none.
 */
seq: number, };

/**
 * All that the events of a call add up to.
 */
export type CallState = {
/**
 * The furthest status reported.
 */
status: CallStatus,
/**
 * The earliest moment at which any status was reported.
 */
firstAt: UnixMillis | null,
/**
 * The earliest moment at which the call was reported answered.
 */
answeredAt: UnixMillis | null,
/**
 * The earliest moment at which it was reported over (by Twilio or by a verdict).
 */
endedAt: UnixMillis | null,
/**
 * Twilio's seconds from answer to end.
 */
durationS: number | null,
/**
 * The SIP answer code of the end.
 */
sipCode: number | null,
/**
 * Streams by sid.
 */
streams: { [key in StreamSid]: StreamPhase },
/**
 * Recordings by sid.
 */
recordings: { [key in RecordingSid]: RecordingState },
/**
 * Real-time transcriptions by sid.
 */
transcriptions: { [key in TranscriptionSid]: TranscriptionPhase },
/**
 * The best verdict given so far; see [`CallState::termination`].
 */
verdict: EndReason | null, };

/**
 * Where a call stands, in Twilio's words; the order of the variants is the order of a call's life, and of two terminal
 * reports the later variant wins.
 */
export type CallStatus = "queued" | "initiated" | "ringing" | "in-progress" | "canceled" | "no-answer" | "busy" | "failed" | "completed";

/**
 * From a browser that watches.
 */
export type ClientMessage = { "type": "seen",
/**
 * The fact.
 */
seq: number, } | { "type": "unknown" };

/**
 * The answer to `POST /api/keys`, the only time at which the key is shown.
 */
export type CreatedKey = {
/**
 * The key, `tl_live_…`.
 */
key: string,
/**
 * As listed from now on.
 */
view: KeyView, };

/**
 * `PUT /api/agents/default`: who answers where nothing else is said.
 */
export type DefaultAgent = {
/**
 * Who.
 */
agent: AgentId, };

/**
 * Which way the call was set up.
 */
export type Direction = "inbound" | "outbound" | "browser";

/**
 * Why a call ended. Each reason knows its result ([`EndReason::result`]), so the two cannot disagree. In order of how
 * much the reason tells: of two reports about one call the later variant wins.
 */
export type EndReason = "carrier_reported" | "stream_lost" | "no_answer" | "busy" | "canceled" | "dial_failed" | "no_capacity" | "caller_hung_up" | "agent_hung_up" | "operator_hung_up" | "silence" | "max_duration" | "node_stopped" | "invalid_stream" | "provider_refused" | "provider_unavailable" | "internal_error";

/**
 * How a call ended, in one word.
 */
export type EndResult = "completed" | "unanswered" | "limited" | "failed";

/**
 * Which owner of a call's media this is: 0 before any node, then raised by one with every new owner.
 */
export type Epoch = number;

/**
 * Any refusal.
 */
export type ErrorBody = {
/**
 * The one member.
 */
error: ErrorDetail, };

/**
 * What was refused and why.
 */
export type ErrorDetail = {
/**
 * A stable word for programs, for example `invalid_field`.
 */
code: string,
/**
 * A sentence for people.
 */
message: string,
/**
 * The field at fault, if one is.
 */
field?: string | null, };

/**
 * `GET /health`.
 */
export type Health = {
/**
 * `ok`; `degraded` when no media node is alive.
 */
status: string,
/**
 * The Worker's version.
 */
version: string,
/**
 * Nodes with a lease.
 */
nodesAlive: number, };

/**
 * How much of an agent's line was heard.
 */
export type HeardPart = {
/**
 * Milliseconds played.
 */
heardMs: number,
/**
 * Milliseconds received from the provider.
 */
receivedMs: number,
/**
 * Whether it was cut off.
 */
cut: boolean, };

/**
 * `GET /api/keys`.
 */
export type KeyList = {
/**
 * All of them.
 */
keys: Array<KeyView>, };

/**
 * An API key as listed; the key itself is never shown again.
 */
export type KeyView = {
/**
 * Its name in addresses.
 */
id: string,
/**
 * What it is for.
 */
name: string,
/**
 * Its last four characters.
 */
last4: string,
/**
 * RFC 3339.
 */
createdAt: string, };

/**
 * Bounds of one call, all in seconds.
 */
export type Limits = {
/**
 * The call is ended politely after this long.
 */
maxDurationS: number,
/**
 * Neither side speaks for this long: the call is ended politely.
 */
silenceS: number, };

/**
 * `POST /api/keys`.
 */
export type NewKey = {
/**
 * What it is for, 1 to 120 characters.
 */
name: string, };

/**
 * What happened in a call, seen from the node.
 */
export type NodeEvent = { "kind": "stream_started",
/**
 * Which.
 */
streamSid: StreamSid, } | { "kind": "provider_ready",
/**
 * Its name.
 */
provider: string, } | { "kind": "provider_lost",
/**
 * Its name.
 */
provider: string,
/**
 * A short reason without private data.
 */
reason: string, } | { "kind": "said",
/**
 * Who.
 */
speaker: Speaker,
/**
 * The provider's item.
 */
item: string,
/**
 * The text.
 */
text: string,
/**
 * When it began to be said, by the node's clock: transcripts arrive late, and this is what orders them.
 */
startedAt: UnixMillis, } | { "kind": "heard",
/**
 * The provider's item.
 */
item: string,
/**
 * Milliseconds of it that were played.
 */
heardMs: number,
/**
 * Milliseconds of it that had been received.
 */
receivedMs: number,
/**
 * Whether it was cut off: by the caller, or by the end of the call.
 */
cut: boolean, } | { "kind": "barged_in",
/**
 * The item that was playing.
 */
item: string,
/**
 * Milliseconds of it that had been played.
 */
heardMs: number, } | { "kind": "digit",
/**
 * One of `0-9`, `*`, `#`, `A-D`.
 */
digit: string, } | { "kind": "ended",
/**
 * Why.
 */
reason: EndReason, } | { "kind": "unknown" };

/**
 * A media node's name: on Fly the platform's machine id; letters, digits, `-`, `_`, `.`, at most 64.
 */
export type NodeId = string;

/**
 * A node on the board.
 */
export type NodeView = {
/**
 * Who.
 */
node: NodeId,
/**
 * Where.
 */
region: string,
/**
 * The most calls it takes.
 */
capacity: number,
/**
 * The calls it carries.
 */
liveCalls: number,
/**
 * It takes no new calls.
 */
draining: boolean,
/**
 * Its lease has not lapsed.
 */
alive: boolean,
/**
 * Its last heartbeat.
 */
seenAt: UnixMillis,
/**
 * Its program's version.
 */
version: string, };

/**
 * `GET /api/numbers`.
 */
export type NumberList = {
/**
 * All of them.
 */
numbers: Array<NumberView>, };

/**
 * A number and who answers it.
 */
export type NumberView = {
/**
 * E.164.
 */
number: PhoneNumber,
/**
 * Who answers.
 */
agent: AgentId, };

/**
 * Who is on an end of a leg, as Twilio's `From` and `To` say it.
 */
export type Party = string;

/**
 * A telephone number in E.164: `+`, then 2 to 15 digits of which the first is not 0 (Twilio error 13223's pattern).
 * `Debug` shows only the last two digits; there is no `Display`, so a log line cannot show one by accident.
 */
export type PhoneNumber = string;

/**
 * `POST /api/calls`.
 */
export type PlaceCall = {
/**
 * Whom to call, E.164. The replaced systems' `phone` and `number` are accepted for it.
 */
to: PhoneNumber,
/**
 * Who speaks; none: the default agent.
 */
agent?: AgentId,
/**
 * The caller id; none: `TWILIO_CALLER_ID`.
 */
from?: PhoneNumber,
/**
 * Values for the agent's instructions.
 */
variables?: { [key in string]: string },
/**
 * Whether Twilio records the call.
 */
record?: boolean,
/**
 * Whether Twilio looks for an answering machine (asynchronously).
 */
machineDetection?: boolean, };

/**
 * The answer to `POST /api/calls`: 201, or 202 when Twilio's answer is unknown.
 */
export type PlacedCall = {
/**
 * Whether Twilio accepted the call.
 */
success: boolean,
/**
 * Twilio's name of it; null while unknown.
 */
callSid: CallSid | null,
/**
 * Ours.
 */
call: CallId,
/**
 * Twilio's word for where it stands, or `unknown`.
 */
status: string, };

/**
 * `PUT /api/numbers/{number}`: which agent answers one of our numbers.
 */
export type PointNumber = {
/**
 * Who answers.
 */
agent: AgentId, };

/**
 * How far a recording is; later variants win.
 */
export type RecordingPhase = "in-progress" | "absent" | "completed";

/**
 * A recording, `RE` and 32 hexadecimal digits.
 */
export type RecordingSid = string;

/**
 * A recording as far as it is known.
 */
export type RecordingState = {
/**
 * How far it is.
 */
phase: RecordingPhase,
/**
 * Seconds, once complete.
 */
durationS: number | null, };

/**
 * To a browser that watches one call.
 */
export type ServerMessage = { "type": "snapshot",
/**
 * [`PROTOCOL_VERSION`].
 */
protocol: number,
/**
 * It.
 */
call: CallSnapshot, } | { "type": "facts",
/**
 * At least one, except as the first message of a resumed watch that has missed nothing.
 */
facts: Array<StampedFact>, } | { "type": "live",
/**
 * Who.
 */
speaker: Speaker,
/**
 * The line's key in the transcript.
 */
key: string,
/**
 * All of it so far.
 */
text: string,
/**
 * When it began to be said.
 */
startedAt: UnixMillis, } | { "type": "ended",
/**
 * The last fact.
 */
seq: number, };

/**
 * `GET /api/session`, and the answer to set-up and sign-in.
 */
export type SessionView = {
/**
 * Who is signed in; null: nobody.
 */
email: string | null,
/**
 * Send it as `X-CSRF-Token` with every unsafe request; null when nobody is signed in.
 */
csrfToken: string | null,
/**
 * Whether the first administrator has still to be made.
 */
needsSetup: boolean, };

/**
 * `POST /api/setup`: makes the first administrator, once.
 */
export type SetUp = {
/**
 * `SETUP_TOKEN`.
 */
token: string,
/**
 * The administrator's address, their name at sign-in.
 */
email: string,
/**
 * 12 to 128 characters.
 */
password: string, };

/**
 * `POST /api/session`: sign in. The answer sets the cookie.
 */
export type SignIn = {
/**
 * As given at set-up.
 */
email: string,
/**
 * As given at set-up.
 */
password: string, };

/**
 * Who said something.
 */
export type Speaker = "caller" | "agent";

/**
 * A fact with its place in the call.
 */
export type StampedFact = {
/**
 * From 1, contiguous per call.
 */
seq: number,
/**
 * When the room stored it.
 */
at: UnixMillis,
/**
 * It.
 */
fact: CallFact, };

/**
 * How far a stream is; later variants win.
 */
export type StreamPhase = "started" | "stopped" | "error";

/**
 * A Media Stream, `MZ` and 32 hexadecimal digits.
 */
export type StreamSid = string;

/**
 * The verdict on a call: exactly one per call.
 */
export type Termination = {
/**
 * Why.
 */
reason: EndReason,
/**
 * How, always `reason.result()`.
 */
result: EndResult, };

/**
 * A side of a call as Twilio's real-time transcription names it.
 */
export type Track = "inbound_track" | "outbound_track";

/**
 * `GET /api/calls/{sid}/transcript` as JSON.
 */
export type TranscriptBody = {
/**
 * Ours.
 */
call: CallId,
/**
 * Twilio's.
 */
callSid: CallSid | null,
/**
 * Whether the call is over, so that nothing follows.
 */
complete: boolean,
/**
 * In the order in which it was said.
 */
lines: Array<TranscriptLine>, };

/**
 * One thing that was said.
 */
export type TranscriptLine = {
/**
 * Unique in the call and stable.
 */
key: string,
/**
 * Who.
 */
speaker: Speaker,
/**
 * What; empty while only the amount heard is known.
 */
text: string,
/**
 * When it began to be said.
 */
startedAt: UnixMillis,
/**
 * How much of it was heard; only the agent's lines have it, once playback has ended or was cut.
 */
heard: HeardPart | null, };

/**
 * How far a real-time transcription is; later variants win.
 */
export type TranscriptionPhase = "running" | "stopped" | "error";

/**
 * A real-time transcription, `GT` and 32 hexadecimal digits.
 */
export type TranscriptionSid = string;

/**
 * How a provider finds the end of the caller's turn (OpenAI's words; others map them).
 */
export type TurnDetection = { "type": "server_vad",
/**
 * 0.0 to 1.0; higher needs louder speech.
 */
threshold: number,
/**
 * Audio kept before the start of speech, milliseconds.
 */
prefix_padding_ms: number,
/**
 * Silence that ends a turn, milliseconds.
 */
silence_duration_ms: number, } | { "type": "semantic_vad",
/**
 * `low`, `medium`, `high` or `auto`.
 */
eagerness: string, };

/**
 * A moment: milliseconds since 1970-01-01T00:00:00Z.
 */
export type UnixMillis = number;

/**
 * One way to give an agent a voice.
 */
export type VoicePlan = {
/**
 * `openai`, `echo`, and others as they come.
 */
provider: string,
/**
 * The provider's model; none: the codec's default.
 */
model: string | null,
/**
 * The provider's voice; none: the codec's default.
 */
voice: string | null,
/**
 * How the end of the caller's turn is found.
 */
turnDetection: TurnDetection, };

/**
 * `GET` or `POST /api/token`: a Voice SDK access token.
 */
export type VoiceToken = {
/**
 * The JWT.
 */
token: string,
/**
 * The client identity in it.
 */
identity: string,
/**
 * When it ends, RFC 3339.
 */
expiresAt: string, };
