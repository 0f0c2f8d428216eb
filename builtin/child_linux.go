package builtin

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// limitMemory lets this process take at most more bytes than it has now. Its address
// space is not what counts: the runtime reserves much that it does not use.
func limitMemory(more uint64) error {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return fmt.Errorf("read the memory in use: %w", err)
	}
	var size, resident, shared, text, lib, data uint64
	if _, err := fmt.Sscan(string(statm), &size, &resident, &shared, &text, &lib, &data); err != nil {
		return fmt.Errorf("read the memory in use: %w", err)
	}
	limit := data*uint64(os.Getpagesize()) + more
	if err := unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
		return fmt.Errorf("limit memory: %w", err)
	}
	return nil
}
