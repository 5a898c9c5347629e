// Random requests as Twilio could send them, the same for the same seed: addresses with every oddity that a signature must
// survive, and forms with repeated, empty, padded and non-Latin values.

/** A generator of numbers in [0, 1) (mulberry32): a failed run can be repeated from its seed. */
export function dice(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (n) => Math.floor(next() * n);
  const pick = (list) => list[below(list.length)];
  return { next, below, pick, many: (max, make) => Array.from({ length: below(max + 1) }, make) };
}

const NAMES = ["From", "FromCity", "FROM", "To", "CallSid", "Caller", "Digits", "_", "a", "Z", "1", "10", "9", "SpeechResult", "ä", "名", "🚀"];
// No character between U+E000 and U+FFFF: beside one from beyond it, the Node helper orders by UTF-16 unit and the Python
// helper by code point, so there the judges themselves disagree.
const LETTERS = [..."abcXYZ019 +&=%'\"#?/\\\t\n~.-_*()äßéλ中文русский🚀👩‍🚀"];
const PATH = ["voice", "api/calls/status", "a%2Fb", "~user", "x'y", "%7Eu", "ünï", "", "a b"];
const QUERY = ["call=call_0", "q=a+b", "e=", "n=O'Brien", "n=O%27Brien", "x=%20", "bodySHA256=ab", "ä=1", "epoch=1"];

const word = (d) => d.many(12, () => d.pick(LETTERS)).join("");

/** An address as it could be configured, ports, users and queries included. */
export function address(d) {
  const scheme = d.pick(["https", "https", "http", "wss", "ws"]);
  const port = d.pick(["", "", "", ":443", ":80", ":8443"]);
  const host = d.pick(["voice.example.com", "VOICE.example.com", "127.0.0.1", "a-b.example"]);
  const path = d.many(3, () => d.pick(PATH)).join("/");
  const query = d.many(3, () => d.pick(QUERY)).join("&");
  return `${scheme}://${host}${port}/${path}${query ? `?${query}` : ""}`;
}

/** A form as name and value pairs; names may repeat. */
export const form = (d) => d.many(14, () => [d.next() < 0.7 ? d.pick(NAMES) : word(d) || "n", word(d)]);

/** The pairs as the helpers take them: one value, or several in an array. */
export function grouped(pairs) {
  const groups = Object.create(null);
  for (const [name, value] of pairs) {
    groups[name] = name in groups ? [].concat(groups[name], value) : value;
  }
  return groups;
}
