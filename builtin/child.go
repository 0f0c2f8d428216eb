package builtin

import (
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"syscall"
	"time"
)

// ChildArgument is the only argument of a child: the hidden subcommand of the program.
const ChildArgument = "eval-worker"

// Bounds of a child.
const (
	// maxMemory bounds what a child may take beyond what it takes at its start.
	maxMemory = 256 << 20
	// softMemory is where its garbage collector begins to work hard.
	softMemory = 128 << 20
	// keptMemory is what a child may keep of the memory of a job that is done.
	keptMemory = 32 << 20
	// maxStack bounds the stack of the engines, whose parsers recurse.
	maxStack = 64 << 20
	// childThreads is for the source, and for the clock that interrupts it.
	childThreads = 2
	// lookEvery is how often a child looks at its memory.
	lookEvery = 20 * time.Millisecond
	// grace is what a child may take beyond the limit to answer that it was reached.
	grace = 250 * time.Millisecond
)

// Exit codes of a child, besides 2 of Go's own fatal errors.
const (
	exitMemory  = 3
	exitOverrun = 4
)

// IsChild reports whether this process was started by a Pool to evaluate sources. A
// program that makes a Pool asks it first thing, and calls ServeChild then.
func IsChild() bool { return len(os.Args) == 2 && os.Args[1] == ChildArgument }

// ServeChild evaluates the jobs that come on in until it ends, which it also does in
// the middle of a job, and gives the process's exit code. It bounds the memory, the
// processors and the signals of the whole process, sets its zone to UTC and clears its
// environment. in and out are standard input and output.
func ServeChild(in io.Reader, out io.Writer) int {
	os.Clearenv()
	time.Local = time.UTC
	runtime.GOMAXPROCS(childThreads)
	debug.SetMemoryLimit(softMemory)
	debug.SetMaxStack(maxStack)
	// A terminal sends its signals to all processes; the parent decides.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	if err := limitMemory(maxMemory); err != nil {
		return 1
	}
	go watchMemory()
	if err := writeFrame(out, hello); err != nil {
		return 1
	}
	requests := make(chan request)
	go receive(in, requests)
	for r := range requests {
		overrun := time.AfterFunc(r.Limit+grace, func() { os.Exit(exitOverrun) })
		o := answer(&r)
		overrun.Stop()
		if err := writeFrame(out, o); err != nil {
			return 1
		}
		if used() > keptMemory {
			debug.FreeOSMemory()
		}
	}
	return 0
}

// receive ends the process with its parent, whatever it is busy with.
func receive(in io.Reader, requests chan<- request) {
	for {
		var r request
		if err := readFrame(in, &r); err != nil {
			os.Exit(0)
		}
		requests <- r
	}
}

func answer(r *request) Outcome {
	if r.Check {
		return check(&r.Job)
	}
	return Evaluate(r.Job, r.Limit)
}

// watchMemory ends the process before it has taken too much, where its memory grows
// slowly enough to be seen. What grows in one leap is the system's to stop.
func watchMemory() {
	for range time.Tick(lookEvery) {
		if used() > maxMemory {
			os.Exit(exitMemory)
		}
	}
}

// used is the memory that this process has from the system.
func used() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64() - sample[1].Value.Uint64()
}
