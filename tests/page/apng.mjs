// An animated picture (APNG) of pictures of one size: the data of each becomes a frame as it is, and nothing is packed anew.
// PNG Specification (third edition), sections 11.3.6 (animation) and 5 (chunks).
import assert from "node:assert/strict";
import { crc32 } from "node:zlib";

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** The chunks of a picture: each a name and its data. */
function chunks(png) {
  assert.ok(png.subarray(0, 8).equals(SIGNATURE), "it is a PNG");
  const found = [];
  for (let at = 8; at < png.length; ) {
    const length = png.readUInt32BE(at);
    const name = png.toString("latin1", at + 4, at + 8);
    found.push([name, png.subarray(at + 8, at + 8 + length)]);
    at += 12 + length;
  }
  return found;
}

function chunk(name, data) {
  const named = Buffer.concat([Buffer.from(name, "latin1"), data]);
  const framed = Buffer.alloc(named.length + 8);
  framed.writeUInt32BE(data.length, 0);
  named.copy(framed, 4);
  framed.writeUInt32BE(crc32(named), named.length + 4);
  return framed;
}

function number(value) {
  const data = Buffer.alloc(4);
  data.writeUInt32BE(value);
  return data;
}

/** Shows each picture for so many milliseconds, again and again. */
export function animated(frames) {
  const [first] = frames;
  const [[, head]] = chunks(first.png);
  const parts = [SIGNATURE, chunk("IHDR", head), chunk("acTL", Buffer.concat([number(frames.length), number(0)]))];
  let sequence = 0;
  frames.forEach(({ png, millis }, index) => {
    const found = chunks(png);
    assert.ok(found[0][1].equals(head), "all have one size and one format");
    const delay = Buffer.alloc(4);
    delay.writeUInt16BE(millis, 0);
    delay.writeUInt16BE(1000, 2);
    // The whole of it, at the place of the one before, in its stead.
    const place = [number(sequence++), head.subarray(0, 8), number(0), number(0), delay, Buffer.from([0, 0])];
    parts.push(chunk("fcTL", Buffer.concat(place)));
    for (const [name, data] of found) {
      if (name !== "IDAT") continue;
      parts.push(index === 0 ? chunk("IDAT", data) : chunk("fdAT", Buffer.concat([number(sequence++), data])));
    }
  });
  return Buffer.concat([...parts, chunk("IEND", Buffer.alloc(0))]);
}
