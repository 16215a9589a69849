// Verifies seals of Themis, as seal-format.md describes them, with Node.js 18 or newer and nothing else.
//
//   node verify-seal.mjs KEYS FILE...
//
// KEYS is a file of public keys, one a line, as in `ssh-ed25519 AAAA... name`; or `-` for any key. A line of JSON is
// printed for each file. Exit codes: 0 all verified, 3 some in part, 1 one is not, 2 usage. What it does not look at is
// what a run's id and its digests are made of, whose rules are Themis' own.
import { createHash, createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";

const MAGIC = "themis-seal/1\n";
const NAMESPACE = "themis-seal";
const UNPARSED = ["parse_failure", "parse_null", "parse_invalid"];
const REASONS = [...UNPARSED, "generation_failure", "reduction_failure", "evaluation_failure",
  "evaluation_partial_failure", "score_failure", "not_reached"];
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n; // of Ed25519's base point

const hash = (...parts) => createHash("sha256").update(Buffer.concat(parts)).digest();
const [leafHash, nodeHash, commitment] = [0, 1, 2].map((first) => (...parts) => hash(Buffer.from([first]), ...parts));
const check = (holds, problem) => { if (!holds) throw new Error(problem); };

class Reader {
  constructor(bytes) { this.bytes = bytes; this.at = 0; }
  take(size) {
    check(size <= this.bytes.length - this.at, "the file is cut off");
    this.at += size;
    return this.bytes.subarray(this.at - size, this.at);
  }
  byte() { return this.take(1)[0]; }
  number() { // groups of seven bits, the lowest first, at most seven of them, in the shortest way
    let value = 0;
    for (let factor = 1, group = 0x80; group >= 0x80; factor *= 128) {
      group = this.byte();
      value += (group & 0x7f) * factor;
      check(factor < 2 ** 49 && (group > 0 || factor === 1), "a number is not written in the shortest way");
    }
    return value;
  }
  score(metric) {
    const code = this.byte();
    if (code === 0xe0 || code === 0xe1) return { value: code - 0xe0, reason: null };
    if (code >= 0xf0 && code < 0xf0 + REASONS.length) return { value: null, reason: REASONS[code - 0xf0] };
    const isUnparsed = code >= 0xe8 && code < 0xe8 + UNPARSED.length && metric.unparsed_score !== null;
    if (isUnparsed) return { value: metric.unparsed_score, reason: UNPARSED[code - 0xe8] };
    check(code < 0xe0, "a score that there is not");
    const value = Buffer.concat([Buffer.from([code]), this.take(7)]).readDoubleBE();
    check(Math.abs(value) <= 1e100 && value !== 0 && value !== 1, "a score is not written in the one way");
    return { value, reason: null };
  }
  leaf(number, metrics, isShown) {
    const start = this.at, rowOf = (metric) => Array.from({ length: metric.answers }, () => this.score(metric));
    const scores = number ? metrics.map(rowOf) : [], written = this.bytes.subarray(start, this.at);
    if (!isShown) return { number, scores, hash: leafHash(written, this.take(32)) };
    const salt = this.take(32), data = this.take(this.number());
    return { number, scores, hash: leafHash(written, commitment(salt, data)), data: JSON.parse(data.toString("utf8")) };
  }
}

function canonical(value) { // RFC 8785, for what a header holds
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`;
}

// A string of the SSH protocol: its length in four bytes (none here has 256), then its bytes.
const text = (bytes) => Buffer.concat([Buffer.from([0, 0, 0, bytes.length]), Buffer.from(bytes)]);

function isSigned(signed, key, signature) { // OpenSSH, PROTOCOL.sshsig
  check(BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString("hex")}`) < ORDER, "no such signature");
  const message = Buffer.concat([Buffer.from("SSHSIG"), text(NAMESPACE), text(""), text("sha512"),
    text(createHash("sha512").update(signed).digest())]);
  const jwk = { kty: "OKP", crv: "Ed25519", x: Buffer.from(key).toString("base64url") };
  return verify(null, message, createPublicKey({ key: jwk, format: "jwk" }), signature);
}

function isTrusted(key, keys) {
  const line = Buffer.concat([text("ssh-ed25519"), text(key)]).toString("base64");
  return keys.split("\n").some((one) => one.startsWith("ssh-ed25519 ") && one.split(/\s+/)[1] === line);
}

function treeRoot(level) { // a node without another beside it goes up as it is
  const above = [];
  for (let at = 0; at < level.length; at += 2) {
    above.push(at + 1 < level.length ? nodeHash(level[at], level[at + 1]) : level[at]);
  }
  return above.length > 1 ? treeRoot(above) : above[0];
}

function pathRoot(reader, leaf, number, count) {
  for (; count > 1; number >>= 1, count = (count + 1) >> 1) {
    if (number % 2) leaf = nodeHash(reader.take(32), leaf);
    else if (number + 1 < count) leaf = nodeHash(leaf, reader.take(32));
  }
  return leaf;
}

function exactSum(values) { // the double that is nearest to the sum, as Python's math.fsum
  const view = new DataView(new ArrayBuffer(8));
  let sum = 0n; // in units of 2^-1074
  for (const value of values) {
    view.setFloat64(0, Math.abs(value));
    const bits = view.getBigUint64(0), exponent = bits >> 52n, fraction = bits & (2n ** 52n - 1n);
    sum += (exponent ? (fraction + 2n ** 52n) << (exponent - 1n) : fraction) * (value < 0 ? -1n : 1n);
  }
  const size = sum < 0n ? -sum : sum, over = Math.max(0, size.toString(2).length - 64);
  const top = size >> BigInt(over), isExact = top << BigInt(over) === size;
  const found = Number(isExact ? top : top | 1n) * 2 ** Math.max(over - 1074, -1022) * 2 ** Math.min(over - 52, 0);
  return sum < 0n ? -found : found;
}

function results(metric, scores) {
  const values = scores.filter((score) => score.value !== null).map((score) => score.value);
  const missing = {}, unparsed = {}, lacking = scores.length - values.length, total = exactSum(values);
  for (const { value, reason } of scores.filter((score) => score.reason !== null)) {
    const counts = value === null ? missing : unparsed;
    counts[reason] = (counts[reason] ?? 0) + 1;
  }
  const within = (range) => values.every((value) => value >= range[0] && value <= range[1]);
  check(metric.score_range === null || within(metric.score_range), "a score outside its range");
  const range = metric.score_range ?? (within([0, 1]) ? [0, 1] : null);
  const mean = values.length ? total / values.length : null;
  const bound = (end) => mean === null || !lacking ? mean
    : range === null ? null : (total + lacking * range[end]) / scores.length;
  return { ...metric, planned: scores.length, scored: values.length, mean, missing, unparsed,
    if_missing_wrong: bound(0), if_missing_right: bound(1) };
}

function verifySeal(bytes, keys) {
  const reader = new Reader(bytes), notes = [];
  check(reader.take(MAGIC.length).toString("latin1") === MAGIC, "it is no seal of version 1");
  const headerText = reader.take(reader.take(4).readUInt32BE()).toString("utf8");
  const signed = bytes.subarray(0, reader.at);
  const mark = reader.byte();
  if (mark === 1) {
    const key = reader.take(32), signature = reader.take(64);
    check(isSigned(signed, key, signature), "the signature is not one of this header");
    if (keys === null) notes.push("whose the key is");
    else check(isTrusted(key, keys), "the key is none of those given");
  } else {
    check(mark === 0 && hash(signed).equals(reader.take(32)), "the header was changed");
    check(keys === null, "it is not signed");
    notes.push("it is not signed");
  }
  const header = JSON.parse(headerText), count = header.cases + 1, hashes = [], shown = [];
  check(canonical(header) === headerText, "the header is not canonical");
  const columns = header.metrics.map(() => []), parts = reader.byte();
  const add = (leaf) => {
    leaf.scores.forEach((scores, at) => columns[at].push(...scores));
    if (leaf.data === undefined || !leaf.number) return;
    shown.push(leaf.number);
    const same = leaf.data.scores.map((row) => ({ value: row.value, reason: row.error_category }));
    check(canonical(same) === canonical(leaf.scores.flat()), `the data of case ${leaf.number} have other scores`);
  };
  if (parts === 0) {
    const next = (isShown) => {
      const leaf = reader.leaf(hashes.length, header.metrics, isShown);
      hashes.push(leaf.hash);
      add(leaf);
    };
    while (hashes.length < count) {
      const hidden = reader.number();
      check(hidden <= count - hashes.length, "too many hidden cases");
      for (let left = hidden; left; left -= 1) next(false);
      if (hashes.length < count) next(true);
    }
    check(treeRoot(hashes).toString("hex") === header.root, "the cases are not those that were sealed");
    header.metrics.forEach((metric, at) => check(canonical(results(metric, columns[at])) === canonical(metric),
      `the results of ${metric.metric_id} do not follow from its scores`));
  } else {
    check(parts === 1, "neither all cases nor single ones");
    for (let left = reader.number(), before = -1; left; left -= 1) {
      const number = reader.number();
      check(before < number && number < count, "cases out of order");
      before = number;
      const leaf = reader.leaf(number, header.metrics, true);
      check(pathRoot(reader, leaf.hash, number, count).toString("hex") === header.root, `case ${number} was changed`);
      add(leaf);
    }
    notes.push("the results, for the file has single cases");
  }
  check(reader.at === bytes.length, "there is more behind its end");
  return { verdict: notes.length ? "verified in part" : "verified", not_checked: notes, shown: shown.length, header };
}

const [keyFile, ...files] = process.argv.slice(2);
process.exitCode = files.length ? 0 : 2;
if (!files.length) console.error("usage: node verify-seal.mjs KEYS FILE...");
for (const file of files) {
  let found;
  try {
    found = verifySeal(readFileSync(file), keyFile === "-" ? null : readFileSync(keyFile, "utf8"));
  } catch (error) {
    found = { verdict: "not verified", why: error.message };
  }
  console.log(JSON.stringify({ file, ...found }));
  const code = { "verified": 0, "verified in part": 3, "not verified": 1 }[found.verdict];
  if (process.exitCode !== 1) process.exitCode = code || process.exitCode;
}
