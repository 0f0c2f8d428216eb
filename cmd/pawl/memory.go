package main

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	// gcPercent lets the heap grow to four times what is live between two collections.
	// A node's heap is small beside its machine, and collecting it less often saves about
	// a quarter of its processor time at full load.
	gcPercent = 300
	// memoryShare is the part of the memory there is that the heap may take; nearer to
	// it, collections become as frequent as they have to be.
	memoryShare = 0.75
)

// tuneMemory sets both, unless GOGC and GOMEMLIMIT do.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		if n := memory(); n > 0 {
			debug.SetMemoryLimit(int64(float64(n) * memoryShare))
		}
	}
}

// memory is what the machine, or the control group of the process, has; 0 if the
// system does not tell.
func memory() int64 {
	least := int64(math.MaxInt64)
	if b, err := os.ReadFile("/sys/fs/cgroup/memory.max"); err == nil {
		if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil {
			least = n
		}
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			fields := strings.Fields(line)
			if len(fields) >= 2 && fields[0] == "MemTotal:" {
				if kb, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
					least = min(least, kb<<10)
				}
			}
		}
	}
	if least == math.MaxInt64 {
		return 0
	}
	return least
}
