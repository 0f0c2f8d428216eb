package fsm

import "strconv"

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func appendInt(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }

// atoi reads an integer token.
func atoi(b []byte) (int64, bool) {
	n, err := strconv.ParseInt(string(b), 10, 64)
	return n, err == nil
}
