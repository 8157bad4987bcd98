/* A tracker's frame, as it comes off the wire, big-endian:
 *
 *     2 bytes  magic, 'T' 'K'
 *     1 byte   version, 1
 *     1 byte   count of records
 *     8 bytes  device
 *     count × { 4 bytes seconds since the Unix epoch, 4 bytes latitude, 4 bytes longitude, both in
 *               millionths of a degree, signed; 2 bytes speed in tenths of km/h }
 *     2 bytes  checksum: the sum of all bytes before it, modulo 65536 */

#ifndef FRAMES_H
#define FRAMES_H

#include <stddef.h>
#include <stdint.h>

enum { FRAME_HEAD = 12, FRAME_RECORD = 14, FRAME_TAIL = 2 };

typedef struct {
    uint64_t device;
    size_t records;
} frame;

typedef struct {
    uint32_t seconds;
    int32_t latitude, longitude;
    uint16_t speed;
} frame_record;

/* NULL where the bytes are a frame, else what is wrong with them. */
const char *frame_read(const uint8_t *bytes, size_t size, frame *to);

/* A record of a frame that was read, counted from 0. */
frame_record frame_record_of(const uint8_t *bytes, size_t index);

#endif
