package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// meter is what had been used up at one moment.
type meter struct {
	nodes, others time.Duration // of processor time
	flushes       int64         // of disk caches, -1 when unknown
}

func (b *bench) meter() meter {
	m := meter{flushes: diskFlushes(), others: ownCPU() + cpuOf(b.worker.Process.Pid)}
	for _, p := range b.fleet.nodes {
		m.nodes += cpuOf(p.pid())
	}
	return m
}

// resident is the memory of the node that uses least; the others hold the same state.
func (b *bench) resident() int64 {
	least := int64(-1)
	for _, p := range b.fleet.nodes {
		if n := residentOf(p.pid()); least < 0 || n < least {
			least = n
		}
	}
	return least
}

func (p *process) pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

// clockTick is the unit of times in /proc on every Linux.
const clockTick = 10 * time.Millisecond

// cpuOf is the processor time of a process, 0 when the system does not tell.
func cpuOf(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the name may hold blanks
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * clockTick
}

func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func residentOf(pid int) int64 {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(statm))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// diskFlushes counts the cache flushes that all whole disks have completed.
func diskFlushes() int64 {
	f, err := os.Open("/proc/diskstats")
	if err != nil {
		return -1
	}
	defer f.Close()
	total, found := int64(0), false
	in := bufio.NewScanner(f)
	for in.Scan() {
		fields := strings.Fields(in.Text())
		const flushes = 18 // major, minor, name, then 17 counters
		if len(fields) <= flushes || partition(fields[2]) {
			continue
		}
		n, err := strconv.ParseInt(fields[flushes], 10, 64)
		if err == nil {
			total, found = total+n, true
		}
	}
	if !found {
		return -1
	}
	return total
}

// partition reports whether a name is of a part of a disk, whose counters are in the
// disk's as well.
func partition(name string) bool {
	_, err := os.Stat("/sys/block/" + name)
	return err != nil
}
