// The order of texts on the other side of the wire: Rust compares UTF-8 bytes, which is the order of code points;
// JavaScript's `<` compares UTF-16 units and differs beyond the Basic Multilingual Plane.

/** Negative, zero or positive as `a` stands before, at or after `b`, by code point. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const left = a[Symbol.iterator]();
  const right = b[Symbol.iterator]();
  for (;;) {
    const x = left.next();
    const y = right.next();
    if (x.done || y.done) return (x.done ? 0 : 1) - (y.done ? 0 : 1);
    const difference = (x.value.codePointAt(0) ?? 0) - (y.value.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
}
