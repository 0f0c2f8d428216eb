package fsm

import (
	"encoding/hex"
	"math/bits"

	"encoding/binary"

	"github.com/zeebo/xxh3"
)

// Digest is a 128-bit sum, modulo 2^128, of the hashes of all rows of State. Two
// States with the same rows have the same Digest, in whatever order they came to be.
type Digest struct{ Hi, Lo uint64 }

// String gives the digest in hexadecimal.
func (d Digest) String() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], d.Hi)
	binary.BigEndian.PutUint64(b[8:], d.Lo)
	return hex.EncodeToString(b[:])
}

// Seed of the row hashes. It is part of the stored format.
const digestSeed = 0x7061776c

// rowHash hashes one row, encoded for the digest; its first byte is the table, so that
// equal bytes in two tables differ.
func rowHash(row []byte) Digest {
	h := xxh3.Hash128Seed(row, digestSeed)
	return Digest{Hi: h.Hi, Lo: h.Lo}
}

// payloadHash hashes a payload. It is kept with it, so that a row that holds a large one
// costs no more to hash anew than any other.
func payloadHash(b []byte) uint64 { return xxh3.HashSeed(b, digestSeed) }

func (d Digest) add(o Digest) Digest {
	lo, carry := bits.Add64(d.Lo, o.Lo, 0)
	hi, _ := bits.Add64(d.Hi, o.Hi, carry)
	return Digest{Hi: hi, Lo: lo}
}

func (d Digest) sub(o Digest) Digest {
	lo, borrow := bits.Sub64(d.Lo, o.Lo, 0)
	hi, _ := bits.Sub64(d.Hi, o.Hi, borrow)
	return Digest{Hi: hi, Lo: lo}
}
